// Charts by Plotly, in the colours of the page, each with its numbers in a table below.
// A chart is {caption, kind: "bars" | "stack" | "lines" | "map", x: […], heading, format, series: [[name, […]], …]}.
"use strict";

const drawn = [];
const PATTERNS = ["", "/", "x", "."];
const DASHES = ["solid", "dash", "dot", "dashdot"];
const SYMBOLS = ["circle", "square", "diamond", "x"];
const QUIET = {displayModeBar: false, responsive: true};

// The page first, which can be read without charts; then the library, for pages that have any.
let library = null;

function withPlotly() {
    library ||= new Promise((done) => {
        const script = element("script", {src: "static/plotly.min.js"});
        script.addEventListener("load", done);
        const add = () => document.head.append(script);
        document.readyState === "complete" ? add() : addEventListener("load", () => setTimeout(add));
    });
    return library;
}

// Plotly reads texts as a kind of HTML.
function plain(text) {
    return String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;");
}

function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function layout(more) {
    const axis = {color: colour("--ink"), gridcolor: colour("--rule"), zeroline: false, automargin: true};
    const {xaxis, yaxis, ...others} = more;
    return {
        paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", font: {color: colour("--ink"), size: 12},
        margin: {l: 50, r: 10, t: 10, b: 40}, legend: {orientation: "h", y: 1.15}, bargap: 0.1,
        xaxis: {...axis, ...xaxis}, yaxis: {...axis, rangemode: "tozero", ...yaxis}, ...others,
    };
}

function ticks(series, format) {
    const largest = Math.max(0, ...series.flatMap(([, values]) => values.filter((value) => value !== null)));
    const steps = [0, 1, 2, 3, 4].map((part) => largest * part / 4);
    return {tickvals: steps, ticktext: steps.map((value) => written(value, format))};
}

function traces({kind, x, format, series}) {
    return series.map(([name, values], at) => {
        const shade = colour(`--series-${at + 1}`);
        const shared = {
            name: plain(name), x: x.map(plain), y: values, hoverinfo: "text",
            hovertext: values.map((value, place) => plain(`${x[place]}: ${written(value, format)} ${name}`)),
        };
        return kind === "lines"
            ? {...shared, type: "scatter", mode: "lines+markers", line: {color: shade, dash: DASHES[at]},
                marker: {symbol: SYMBOLS[at], size: 7, color: shade}}
            : {...shared, type: "bar", marker: {color: shade, pattern: {shape: PATTERNS[at], fgcolor: colour("--paper"),
                fillmode: "overlay", solidity: 0.35}}};
    });
}

function plot(place, chart) {
    if (chart.kind === "map") {
        return plotMap(place, chart);
    }
    const {format, series, kind, heading, range} = chart;
    return Plotly.react(place, traces(chart), layout({
        barmode: kind === "stack" ? "stack" : "group", showlegend: series.length > 1,
        xaxis: {type: "category", title: {text: plain(heading)}, nticks: 12},
        yaxis: kind === "stack" || format === "count" ? {} : {...ticks(series, format), range},
    }), QUIET);
}

// The land without tiles, each degree as long as any other: nothing has to be loaded from anywhere.
function plotMap(place, {points}) {
    const land = GRT_OUTLINE.flatMap((line) => [...line, [null, null]]);
    const largest = Math.max(1, ...points.map((point) => point.jobs));
    return Plotly.react(place, [
        {type: "scatter", mode: "lines", hoverinfo: "skip", x: land.map(([x]) => x), y: land.map(([, y]) => y),
            line: {color: colour("--land"), width: 1}},
        {type: "scatter", mode: "markers+text", hoverinfo: "text", textposition: "top center",
            x: points.map((point) => point.longitude), y: points.map((point) => point.latitude),
            text: points.length > 12 ? points.map(() => "") : points.map((point) => plain(point.label)),
            hovertext: points.map((point) => plain(`${point.label}: ${written(point.jobs, "count")} jobs`)),
            marker: {color: colour("--series-2"), size: points.map((point) => 8 + 16 * Math.sqrt(point.jobs / largest)),
                line: {color: colour("--ink"), width: 1}}},
    ], layout({
        showlegend: false, margin: {l: 5, r: 5, t: 5, b: 5}, dragmode: "pan",
        xaxis: {range: [-180, 180], showticklabels: false, dtick: 30},
        yaxis: {range: [-60, 85], showticklabels: false, dtick: 30, scaleanchor: "x", rangemode: "normal"},
    }), {...QUIET, scrollZoom: false});
}

function numbers(chart) {
    if (chart.kind === "map") {
        return null;
    }
    const {caption, heading, x, format, series} = chart;
    const place = element("div");
    makeTable(place, {
        caption, columns: [[heading, "text"], ...series.map(([name]) => [name, format])],
        rows: x.map((value, at) => [value, ...series.map(([, values]) => values[at])]),
    });
    return element("details", {}, element("summary", {}, "The numbers"), place);
}

function makeChart(place, chart) {
    const {caption, series, points} = chart;
    if (!(points || series.flatMap(([, values]) => values)).some((value) => value !== null)) {
        place.replaceChildren(element("p", {class: "note"}, `${caption}: nothing was measured.`));
        return;
    }
    const label = `${caption}. ${points ? "The table has the same instances" : "The numbers are in the table below"}.`;
    const area = element("div", {class: `plot ${chart.kind}`, role: "img", "aria-label": label});
    place.replaceChildren(element("figure", {}, element("figcaption", {}, caption), area, numbers(chart) || ""));
    drawn.push([area, chart]);
    withPlotly().then(() => area.isConnected && plot(area, chart));
}

// Also before it is printed, which is done in light.
matchMedia("screen and (prefers-color-scheme: dark)").addEventListener("change", () => {
    drawn.filter(([area]) => area.isConnected).forEach(([area, chart]) => plot(area, chart));
});
