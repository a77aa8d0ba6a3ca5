// Pages about one tool or one instance: the id stands after the #, and its data are in one of some files.
"use strict";

const CRC = Array.from({length: 256}, (_, number) => {
    for (let bit = 0; bit < 8; bit += 1) {
        number = number & 1 ? (number >>> 1) ^ 0xedb88320 : number >>> 1;
    }
    return number >>> 0;
});

function crc32(text) {
    let value = 0xffffffff;
    for (const byte of new TextEncoder().encode(text)) {
        value = CRC[(value ^ byte) & 0xff] ^ (value >>> 8);
    }
    return (value ^ 0xffffffff) >>> 0;
}

const loaded = {};

// A page on a disk may load scripts, but not read files.
function shard(kind, id) {
    const name = (crc32(id) % GRT_SITE.shards[kind]).toString(16).padStart(2, "0");
    const source = `data/${kind}/${name}.js`;
    loaded[source] ||= new Promise((done) => {
        const script = element("script", {src: source});
        script.addEventListener("load", () => done(GRT_SHARDS[`${kind}/${name}`]));
        script.addEventListener("error", () => done({}));
        document.head.append(script);
    });
    return loaded[source];
}

// The rows of a list as objects, by the names of their columns.
function objects(rows, columns) {
    return (rows || []).map((row) => Object.fromEntries(columns.map((name, at) => [name, row[at]])));
}

function section(heading, ...content) {
    return element("section", {}, element("h2", {}, heading), ...content.filter(Boolean));
}

function chartOf(chart) {
    const place = element("div");
    makeChart(place, chart);
    return place;
}

function tableOf(table) {
    const place = element("div");
    makeTable(place, table);
    return place;
}

function columnsOf(rows, columns) {
    return rows.map((row) => columns.map((name) => row[name]));
}

async function showEntry(kind, none, make) {
    const id = decodeURIComponent(location.hash.slice(1));
    const data = (await shard(kind, id))[id];
    const place = document.getElementById("entry");
    const heading = document.querySelector("h1");
    if (!data) {
        heading.textContent = id || none;
        place.replaceChildren(element("p", {}, `${none}: nothing is known of it in this set.`));
        return;
    }
    heading.textContent = data.label;
    document.title = `${data.label} – ${GRT_SITE.title}`;
    place.replaceChildren(...make(id, data));
}

function entryPage(kind, none, make) {
    const show = () => showEntry(kind, none, make);
    addEventListener("hashchange", show);
    show();
}
