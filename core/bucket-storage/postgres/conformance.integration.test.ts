import { bucketStorageConformance } from '../conformance/suite.ts';
import { postgresFactory } from './factory.fixture.ts';

bucketStorageConformance(postgresFactory);
