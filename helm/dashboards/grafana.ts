import {
  DashboardCursorSync,
  VariableRefresh,
  VariableSort,
  type Dashboard,
  type Panel,
  type RowPanel,
  type VariableModel,
} from '@grafana/schema';
import type { DashboardDescription, RowDescription, VariableDescription } from './description.ts';
import { DATASOURCE, grafanaPanel, panelHeight } from './panels.ts';

/** Width of Grafana's grid. */
const GRID_WIDTH = 24;

/** The dashboard as Grafana takes it: its JSON model, without an id, so that it can be provisioned anywhere. */
export function grafanaDashboard(dashboard: DashboardDescription): Dashboard {
  return {
    uid: `millrace-${dashboard.name}`,
    title: dashboard.title,
    description: dashboard.description,
    tags: ['millrace'],
    editable: true,
    graphTooltip: DashboardCursorSync.Crosshair,
    schemaVersion: 39,
    time: { from: 'now-6h', to: 'now' },
    timezone: 'browser',
    refresh: '30s',
    links: [
      {
        title: 'Millrace',
        type: 'dashboards',
        tags: ['millrace'],
        icon: 'external link',
        tooltip: '',
        asDropdown: true,
        includeVars: true,
        keepTime: true,
        targetBlank: false,
      },
    ],
    annotations: { list: [] },
    templating: { list: [datasourceVariable, ...dashboard.variables.map(queryVariable)] },
    panels: layOut(dashboard.rows),
  };
}

/** The text of the file. */
export function dashboardJson(dashboard: DashboardDescription): string {
  return `${JSON.stringify(grafanaDashboard(dashboard), undefined, 2)}\n`;
}

const datasourceVariable: VariableModel = {
  name: 'datasource',
  label: 'Data source',
  type: 'datasource',
  query: 'prometheus',
  regex: '',
  refresh: VariableRefresh.onDashboardLoad,
  includeAll: false,
  multi: false,
  options: [],
};

function queryVariable({ name, query, single = false }: VariableDescription): VariableModel {
  return {
    name,
    label: `${name[0]!.toUpperCase()}${name.slice(1)}`,
    type: 'query',
    datasource: DATASOURCE,
    query: { query, refId: 'PrometheusVariableQueryEditor-VariableQuery' },
    regex: '',
    refresh: VariableRefresh.onTimeRangeChanged,
    sort: VariableSort.alphabeticalAsc,
    multi: !single,
    includeAll: !single,
    ...(single ? {} : { allValue: '.*', current: { text: ['All'], value: ['$__all'] } }),
    options: [],
  };
}

/** From left to right, and below where a row is full. */
function layOut(rows: readonly RowDescription[]): (Panel | RowPanel)[] {
  const panels: (Panel | RowPanel)[] = [];
  let id = 1;
  let y = 0;
  for (const row of rows) {
    panels.push({
      id: id++,
      type: 'row',
      title: row.title,
      collapsed: false,
      gridPos: { x: 0, y, w: GRID_WIDTH, h: 1 },
      panels: [],
    });
    y += 1;
    let x = 0;
    let tallest = 0;
    for (const panel of row.panels) {
      if (x + panel.width > GRID_WIDTH) {
        y += tallest;
        x = 0;
        tallest = 0;
      }
      const h = panelHeight(panel);
      panels.push(grafanaPanel(panel, id++, { x, y, w: panel.width, h }));
      x += panel.width;
      tallest = Math.max(tallest, h);
    }
    y += tallest;
  }
  return panels;
}
