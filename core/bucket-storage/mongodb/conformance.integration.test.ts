import { bucketStorageConformance } from '../conformance/suite.ts';
import { mongodbFactory } from './open-for-tests.ts';

bucketStorageConformance(mongodbFactory);
