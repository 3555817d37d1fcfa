/** How a dashboard of the chart is described. Queries are PromQL, in which `$name` stands for a variable of the dashboard. */
export interface DashboardDescription {
  /** Name of the file and, behind `millrace-`, uid in Grafana. */
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly variables: readonly VariableDescription[];
  readonly rows: readonly RowDescription[];
}

/** Something to choose above the dashboard, besides the data source. */
export interface VariableDescription {
  readonly name: 'namespace' | 'instance' | 'source' | 'pod';
  /** As Grafana has it: `label_values(metric, label)`. */
  readonly query: string;
  /** One only, rather than any number of them and all. */
  readonly single?: boolean;
}

export interface RowDescription {
  readonly title: string;
  readonly panels: readonly PanelDescription[];
}

export interface Query {
  readonly expr: string;
  /** Name of the series in the legend, or of the column in a table; `{{label}}` stands for a label. */
  readonly legend: string;
}

/** Grafana's names of units. */
export type Unit =
  | 's'
  | 'h'
  | 'bytes'
  | 'Bps'
  | 'ops'
  | 'cps'
  | 'short'
  | 'percentunit'
  | 'none'
  | 'bool_yes_no'
  | 'dateTimeAsIso';

/** From this value on, this colour. */
export interface Step {
  readonly from: number;
  readonly color: 'green' | 'yellow' | 'orange' | 'red' | 'blue';
}

interface Common {
  readonly title: string;
  /** What it shows, and what to make of it. */
  readonly description: string;
  readonly unit: Unit;
  /** In 24ths of the width. */
  readonly width: number;
  /** Colours by value; below the first step it is green. */
  readonly steps?: readonly Step[];
}

/** Curves over time. */
export interface Curves extends Common {
  readonly kind: 'curves';
  readonly queries: readonly Query[];
  readonly stacked?: boolean;
}

/** One figure of now, with its past in the background. */
export interface Figure extends Common {
  readonly kind: 'figure';
  readonly queries: readonly Query[];
}

/** Tells of things that are so or are not, over time: 1 is good, 0 bad. */
export interface Timeline extends Common {
  readonly kind: 'timeline';
  readonly queries: readonly Query[];
}

/** How often which duration was seen, over time: of a histogram's buckets. */
export interface Heatmap extends Common {
  readonly kind: 'heatmap';
  readonly queries: readonly [Query];
}

/** A line per thing, a column per query and label. */
export interface Table extends Common {
  readonly kind: 'table';
  /** Labels that tell the lines apart; they are the first columns. */
  readonly labels: readonly string[];
  readonly columns: readonly (Query & { readonly unit: Unit; readonly steps?: readonly Step[] })[];
}

export type PanelDescription = Curves | Figure | Timeline | Heatmap | Table;
