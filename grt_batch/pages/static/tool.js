// The page of a tool.
"use strict";

const COLUMNS = GRT_SITE.tool;
const PERIODS = {all: "in all", "30d": "the last 30 days", "7d": "the last 7 days"};
const METRICS = {
    runtime_seconds: ["runtime", "seconds"], memory_bytes: ["memory", "bytes"], cpu_seconds: ["CPU time", "seconds"],
    cores: ["cores", "number"], allocated_memory_bytes: ["allocated memory", "bytes"],
    core_seconds: ["core seconds", "seconds"], cpu_efficiency: ["CPU efficiency", "share"],
    memory_efficiency: ["memory efficiency", "share"], wait_seconds: ["wait", "seconds"],
    input_bytes: ["input", "bytes"], output_bytes: ["output", "bytes"],
};

function summary(metrics) {
    const known = Object.fromEntries(metrics.map((row) => [row.metric, row]));
    const lines = [];
    for (const metric of ["memory_bytes", "runtime_seconds"]) {
        const row = known[metric];
        if (row) {
            const [name, format] = METRICS[metric];
            const [half, most, nearly, largest] = [row.p50, row.p95, row.p99, row.maximum].map((v) => written(v, format));
            lines.push(`Its ${name}: up to ${half} for half of the jobs that ended well, up to ${most} for 95 % and ` +
                `up to ${nearly} for 99 % of them; ${largest} at most (${written(row.n, "count")} jobs measured).`);
        }
    }
    return lines.map((line) => element("p", {}, line));
}

function histogram(bins, metric) {
    const [name, format] = METRICS[metric];
    const rows = bins.filter((bin) => bin.metric === metric);
    return chartOf({
        caption: `Jobs by ${name}`, kind: "bars", heading: `${name}, from`, format: "count",
        x: rows.map((bin) => written(bin.low, format)), series: [["jobs", rows.map((bin) => bin.jobs)]],
    });
}

function byInput(inputs, name, format, percentiles) {
    return chartOf({
        caption: `${name} against input size`, kind: "lines", heading: "input, from", format,
        x: inputs.map((bin) => written(bin.low, "bytes")),
        series: percentiles.map(([label, column]) => [label, inputs.map((bin) => bin[column])]),
    });
}

function versionChart(versions, name, format, measure) {
    const most = versions.slice(0, 12);
    return chartOf({
        caption: `${name} by version${versions.length > 12 ? ", the 12 most used" : ""}`, kind: "bars",
        heading: "version", format, x: most.map((version) => version.version || "none"),
        series: [["median", "p50"], ["95th percentile", "p95"]].map(([label, percentile]) =>
            [label, most.map((version) => version[`${measure}_${percentile}`])]),
    });
}

function months(rows) {
    return chartOf({
        caption: "Error rate by month, in the instances that are shown here", kind: "lines", heading: "month",
        format: "share", x: rows.map((row) => row.month),
        series: [["failed", rows.map((row) => row.ok + row.error ? row.error / (row.ok + row.error) : null)]],
    });
}

function params(rows) {
    const values = rows.flatMap((param) => param.values.map(([value, jobs, error]) =>
        [param.name, value, Number(jobs), Number(jobs) / param.jobs, Number(error)]));
    return tableOf({
        caption: "The parameters of most jobs, and their most used values",
        columns: [["parameter", "text"], ["value", "text"], ["jobs", "count"], ["of its jobs", "share"],
            ["failed", "count"]],
        rows: values,
    });
}

entryPage("tools", "A tool", (id, data) => {
    const rows = (name, columns) => objects(data[name], columns);
    const usage = rows("usage", ["period", ...COLUMNS.usage]);
    const metrics = rows("metrics", COLUMNS.metric);
    const bins = rows("histograms", ["metric", ...COLUMNS.bin]);
    const inputs = rows("inputs", COLUMNS.input);
    const versions = rows("versions", ["version", ...COLUMNS.version]);
    const monthly = rows("months", COLUMNS.month);
    const parameters = rows("params", COLUMNS.param);
    const order = Object.keys(PERIODS);
    usage.sort((a, b) => order.indexOf(a.period) - order.indexOf(b.period));
    usage.forEach((row) => { row.period = PERIODS[row.period]; });
    return [
        element("p", {class: "note"}, id),
        ...summary(metrics),
        section("Use", tableOf({
            caption: "Jobs of all instances together",
            columns: [["when", "text"], ["jobs", "count"], ["ok", "count"], ["error", "count"], ["other", "count"],
                ["error rate", "share"], ["killed for memory", "count"], ["instances", "count"], ["core hours", "number"],
                ["first job", "day"], ["last job", "day"]],
            rows: columnsOf(usage, ["period", ...COLUMNS.usage]),
        })),
        section("What its jobs need", element("div", {class: "pair"},
            ...["runtime_seconds", "memory_bytes", "cpu_seconds"].map((metric) => histogram(bins, metric))),
        tableOf({
            caption: "Jobs that ended well; percentiles are within 1 %",
            columns: [["metric", "text"], ["jobs", "count"], ["mean", "figure"], ["median", "figure"],
                ["95 %", "figure"], ["99 %", "figure"], ["largest", "figure"]],
            rows: metrics.map((row) => [METRICS[row.metric][0], row.n,
                ...[row.mean, row.p50, row.p95, row.p99, row.maximum].map((v) => written(v, METRICS[row.metric][1]))]),
        })),
        section("Against the size of the input", element("div", {class: "pair"},
            byInput(inputs, "Memory", "bytes", [["median", "memory_p50"], ["95th percentile", "memory_p95"],
                ["largest", "memory_max"]]),
            byInput(inputs, "Runtime", "seconds", [["median", "runtime_p50"], ["95th percentile", "runtime_p95"]]))),
        section("Versions", element("div", {class: "pair"},
            versionChart(versions, "Runtime", "seconds", "runtime"), versionChart(versions, "Memory", "bytes", "memory")),
        tableOf({
            caption: "Versions, the most used first",
            columns: [["version", "text"], ["jobs", "count"], ["error rate", "share"], ["runtime, median", "seconds"],
                ["runtime, 95 %", "seconds"], ["memory, median", "bytes"], ["memory, 95 %", "bytes"], ["last job", "day"]],
            rows: columnsOf(versions, ["version", ...COLUMNS.version]),
        })),
        section("Errors over time", months(monthly)),
        section("Popular parameters", params(parameters)),
    ];
});
