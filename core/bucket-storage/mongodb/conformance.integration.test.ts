import { bucketStorageConformance } from '../conformance/suite.ts';
import { mongodbFactory } from './opener.fixture.ts';

bucketStorageConformance(mongodbFactory);
