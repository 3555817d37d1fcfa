import {
  FieldColorModeId,
  MappingType,
  SortOrder,
  StackingMode,
  ThresholdsMode,
  TooltipDisplayMode,
  type DataSourceRef,
  type FieldConfig,
  type GridPos,
  type Panel,
} from '@grafana/schema';
import type { Curves, Figure, Heatmap, PanelDescription, Query, Step, Table, Timeline } from './description.ts';

/** The data source that is chosen above the dashboard. */
export const DATASOURCE: DataSourceRef = { type: 'prometheus', uid: '${datasource}' };

/** A panel of Grafana as it stands in the JSON of a dashboard. */
export function grafanaPanel(panel: PanelDescription, id: number, gridPos: GridPos): Panel {
  const common = { id, title: panel.title, description: panel.description, gridPos, datasource: DATASOURCE };
  switch (panel.kind) {
    case 'curves':
      return { ...common, ...curves(panel) };
    case 'figure':
      return { ...common, ...figure(panel) };
    case 'timeline':
      return { ...common, ...timeline(panel) };
    case 'heatmap':
      return { ...common, ...heatmap(panel) };
    case 'table':
      return { ...common, ...table(panel) };
  }
}

/** Rows of the grid that a panel takes. */
export function panelHeight({ kind }: PanelDescription): number {
  return kind === 'figure' ? 4 : 8;
}

type Body = Pick<Panel, 'type' | 'targets' | 'fieldConfig' | 'options' | 'transformations'>;

function curves({ queries, unit, steps = [], stacked = false }: Curves): Body {
  return {
    type: 'timeseries',
    targets: targets(queries, 'time_series'),
    fieldConfig: {
      defaults: {
        unit,
        min: 0,
        color: { mode: FieldColorModeId.PaletteClassic },
        thresholds: thresholds(steps),
        custom: {
          drawStyle: 'line',
          lineWidth: 1,
          fillOpacity: stacked ? 30 : 8,
          showPoints: 'never',
          spanNulls: false,
          stacking: { mode: stacked ? StackingMode.Normal : StackingMode.None, group: 'A' },
          thresholdsStyle: { mode: steps.length > 0 ? 'dashed' : 'off' },
        },
      },
      overrides: [],
    },
    options: {
      legend: { displayMode: 'table', placement: 'bottom', showLegend: true, calcs: ['mean', 'max', 'lastNotNull'] },
      tooltip: { mode: TooltipDisplayMode.Multi, sort: SortOrder.Descending },
    },
  };
}

function figure({ queries, unit, steps = [] }: Figure): Body {
  return {
    type: 'stat',
    targets: targets(queries, 'time_series'),
    fieldConfig: {
      defaults: { unit, color: { mode: FieldColorModeId.Thresholds }, thresholds: thresholds(steps) },
      overrides: [],
    },
    options: {
      colorMode: 'value',
      graphMode: 'area',
      justifyMode: 'auto',
      orientation: 'auto',
      percentChangeColorMode: 'standard',
      reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false },
      showPercentChange: false,
      textMode: 'auto',
      wideLayout: true,
    },
  };
}

function timeline({ queries, unit }: Timeline): Body {
  return {
    type: 'state-timeline',
    targets: targets(queries, 'time_series'),
    fieldConfig: {
      defaults: {
        unit,
        color: { mode: FieldColorModeId.Thresholds },
        thresholds: {
          mode: ThresholdsMode.Absolute,
          steps: [
            { color: 'red', value: null },
            { color: 'green', value: 1 },
          ],
        },
        mappings: [
          {
            type: MappingType.ValueToText,
            options: { '0': { text: 'no', color: 'red', index: 0 }, '1': { text: 'yes', color: 'green', index: 1 } },
          },
        ],
        custom: { fillOpacity: 70, lineWidth: 0 },
      },
      overrides: [],
    },
    options: {
      alignValue: 'left',
      legend: { displayMode: 'list', placement: 'bottom', showLegend: false },
      mergeValues: true,
      rowHeight: 0.9,
      showValue: 'never',
      tooltip: { mode: TooltipDisplayMode.Single, sort: SortOrder.None },
    },
  };
}

function heatmap({ queries, unit }: Heatmap): Body {
  return {
    type: 'heatmap',
    targets: targets(queries, 'heatmap'),
    fieldConfig: { defaults: {}, overrides: [] },
    options: {
      calculate: false,
      cellGap: 1,
      color: {
        mode: 'scheme',
        scheme: 'Oranges',
        scale: 'exponential',
        exponent: 0.5,
        fill: 'dark-orange',
        reverse: false,
        steps: 64,
      },
      exemplars: { color: 'rgba(255,0,255,0.7)' },
      filterValues: { le: 1e-9 },
      legend: { show: true },
      rowsFrame: { layout: 'auto' },
      tooltip: { mode: TooltipDisplayMode.Single, showColorScale: false, yHistogram: false },
      yAxis: { axisPlacement: 'left', reverse: false, unit },
    },
  };
}

function table({ labels, columns, unit }: Table): Body {
  const defaults: FieldConfig = { unit, custom: { align: 'auto', cellOptions: { type: 'auto' }, filterable: true } };
  // Grafana names the value of a query in a merged table after its letter.
  const names = Object.fromEntries(columns.map(({ legend }, index) => [`Value #${letter(index)}`, legend]));
  return {
    type: 'table',
    targets: targets(columns, 'table'),
    fieldConfig: {
      defaults,
      overrides: columns.map(({ legend, unit, steps = [] }) => ({
        matcher: { id: 'byName', options: legend },
        properties: [
          { id: 'unit', value: unit },
          { id: 'thresholds', value: thresholds(steps) },
          ...(steps.length > 0 ? [{ id: 'custom.cellOptions', value: { type: 'color-text' } }] : []),
        ],
      })),
    },
    options: { cellHeight: 'sm', showHeader: true, frameIndex: 0, sortBy: [] },
    transformations: [
      { id: 'merge', options: {} },
      {
        id: 'organize',
        options: {
          excludeByName: { Time: true },
          indexByName: Object.fromEntries([...labels, ...Object.keys(names)].map((name, index) => [name, index])),
          renameByName: names,
        },
      },
    ],
  };
}

/** In the form that Grafana's Prometheus data source takes. Tables show now, everything else the chosen time. */
function targets(queries: readonly Query[], format: 'time_series' | 'heatmap' | 'table'): Record<string, unknown>[] {
  return queries.map(({ expr, legend }, index) => ({
    refId: letter(index),
    datasource: DATASOURCE,
    editorMode: 'code',
    expr: expr.replaceAll(/\s+/g, ' ').trim(),
    format,
    instant: format === 'table',
    range: format !== 'table',
    legendFormat: legend,
  }));
}

function thresholds(steps: readonly Step[]): NonNullable<FieldConfig['thresholds']> {
  const all = steps.map(({ from, color }) => ({ color, value: from }));
  return { mode: ThresholdsMode.Absolute, steps: [{ color: 'green', value: null }, ...all] };
}

function letter(index: number): string {
  return String.fromCharCode('A'.charCodeAt(0) + index);
}
