// Plots as SVG, drawn by Vega without a browser.

import { parse, View } from "vega";
import { compile } from "vega-lite";

const COLOURS = ["#2457c5", "#d9822b", "#7a7f87", "#1f9d76", "#b03a5b", "#8250df"];
const CONFIG = {
  background: "white",
  font: "system-ui, sans-serif",
  axis: { labelFontSize: 12, titleFontSize: 12, titleFontWeight: "normal", labelLimit: 400 },
  legend: { labelFontSize: 12, title: null, orient: "bottom", labelLimit: 320, columns: 3 },
  title: { fontSize: 14, anchor: "start" },
  range: { category: COLOURS },
};

/**
 * Horizontal bars: `values` are `[{ name, value, low?, high?, group? }]`, in the order in which they are shown; `unit`
 * titles the axis. `log`: a logarithmic axis, of dots, since a bar's length would lie there.
 */
export function bars({ title, unit, values, log = false }) {
  const grouped = values.some(({ group }) => group !== undefined);
  const order = [...new Set(values.map(({ name }) => name))];
  const y = { field: "name", type: "nominal", sort: order, title: null };
  const own = { field: "name", type: "nominal", scale: { domain: order }, legend: null };
  const scale = log ? { type: "log" } : { zero: true };
  const x = { field: "value", type: "quantitative", title: unit, scale };
  const layer = [
    {
      mark: log ? { type: "point", filled: true, size: 90 } : { type: "bar", height: { band: 0.7 } },
      encoding: { x, color: own },
    },
    {
      transform: [{ filter: "isValid(datum.low) && datum.high > datum.low" }],
      mark: { type: "rule", strokeWidth: 1.5 },
      encoding: { x: { field: "low", type: "quantitative", title: unit, scale }, x2: { field: "high" } },
    },
  ];
  const panel = { width: 420, height: { step: 24 }, encoding: { y }, layer };
  const facet = { field: "group", type: "nominal", sort: [...new Set(values.map(({ group }) => group))], title: null };
  const body = grouped
    ? {
        facet: {
          row: {
            ...facet,
            header: { labelAngle: 0, labelAlign: "left", labelAnchor: "start", labelOrient: "top", labelFontSize: 12 },
          },
        },
        spec: panel,
      }
    : panel;
  return draw({ title, data: { values }, ...body });
}

/** Lines: `values` are `[{ name, x, y, low?, high? }]`. `logX`, `logY`: logarithmic axes. */
export function lines({ title, x, y, values, logX = false, logY = false }) {
  const order = [...new Set(values.map(({ name }) => name))];
  const axis = (field, named, log) => ({
    field,
    type: "quantitative",
    title: named,
    scale: log ? { type: "log" } : { zero: true },
  });
  const encoding = { x: axis("x", x, logX), color: { field: "name", type: "nominal", scale: { domain: order } } };
  const layer = [
    { mark: { type: "line", point: true }, encoding: { y: axis("y", y, logY) } },
    {
      transform: [{ filter: "isValid(datum.low) && datum.high > datum.low" }],
      mark: { type: "rule" },
      encoding: { y: axis("low", y, logY), y2: { field: "high" } },
    },
  ];
  return draw({ title, data: { values }, width: 480, height: 280, encoding, layer });
}

async function draw(specification) {
  const view = new View(parse(compile({ ...specification, config: CONFIG }).spec), { renderer: "none" });
  return `${await view.toSVG()}\n`;
}
