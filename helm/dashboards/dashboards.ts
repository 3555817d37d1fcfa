import { apiWorkers } from './api-workers.ts';
import type { DashboardDescription } from './description.ts';
import { fleet } from './fleet.ts';
import { instance } from './instance.ts';
import { source } from './source.ts';
import { storage } from './storage.ts';

/** Every dashboard of the chart. */
export const dashboards: readonly DashboardDescription[] = [fleet, instance, source, apiWorkers, storage];
