// How values of each kind are written for people. A value that is null is unknown.
"use strict";

const UNKNOWN = "–";

function scaled(value, units, step) {
    let unit = 0;
    while (Math.abs(value) >= step * 0.9995 && unit < units.length - 1) {
        value /= step;
        unit += 1;
    }
    return `${figures(value)} ${units[unit]}`;
}

function figures(value) {
    return Number(value.toPrecision(3)).toLocaleString("en", {maximumSignificantDigits: 3});
}

function duration(seconds) {
    if (seconds < 1e-3 && seconds > 0) {
        return "under 1 ms";
    }
    if (seconds < 1 && seconds > 0) {
        return `${figures(seconds * 1000)} ms`;
    }
    for (const [unit, length] of [["d", 86400], ["h", 3600], ["min", 60]]) {
        if (seconds >= length * 2) {
            return `${figures(seconds / length)} ${unit}`;
        }
    }
    return `${figures(seconds)} s`;
}

const FORMATS = {
    text: String,
    figure: String,
    tool: String,
    instance: String,
    address: String,
    count: (value) => Number(value).toLocaleString("en"),
    number: figures,
    share: (value) => `${(value * 100).toFixed(value > 0 && value < 0.1 ? 1 : 0)} %`,
    points: (value) => `${value > 0 ? "+" : ""}${(value * 100).toFixed(1)} points`,
    seconds: duration,
    hours: (value) => `${figures(value)} h`,
    bytes: (value) => scaled(value, ["B", "kB", "MB", "GB", "TB", "PB"], 1000),
    ratio: (value) => `× ${figures(value)}`,
    day: (value) => String(value).slice(0, 10),
};

const NUMBERS = new Set(["count", "number", "share", "points", "seconds", "hours", "bytes", "ratio"]);

// Numbers of several units in one column: to sort by them would say nothing.
const UNSORTED = new Set(["figure"]);

function written(value, kind) {
    return value === null || value === undefined || value === "" ? UNKNOWN : FORMATS[kind](value);
}

// The link of a tool holds its id, so it stays the same from night to night.
function address(value, kind) {
    if (kind === "tool") {
        return `tool.html#${encodeURIComponent(value)}`;
    }
    if (kind === "instance") {
        return `instance.html#${encodeURIComponent(value)}`;
    }
    return kind === "address" && /^https?:\/\//i.test(value) ? value : null;
}

function element(name, attributes = {}, ...content) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
        if (value !== null) {
            made.setAttribute(key, value);
        }
    }
    made.append(...content);
    return made;
}
