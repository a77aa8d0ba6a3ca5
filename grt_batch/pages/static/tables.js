// Tables that sort by any column, and where they are long, search and turn pages.
// A table is {caption, columns: [[heading, kind], …], rows: [[…], …], sort: [column, descending]}; a cell of the kind
// tool or instance may be [id, what to show].
"use strict";

const PAGE_ROWS = 50;

function cell(value, kind) {
    const [id, shown] = Array.isArray(value) ? value : [value, value];
    const text = written(shown, kind);
    const target = id === null ? null : address(id, kind);
    return element("td", {class: kindClass(kind), title: id !== shown ? id : null},
        target ? element("a", {href: target}, text) : text);
}

function kindClass(kind) {
    return NUMBERS.has(kind) || UNSORTED.has(kind) ? "number" : kind === "day" ? "day" : null;
}

function sortKey(value) {
    return Array.isArray(value) ? value[1] : value;
}

function compared(a, b) {
    if (a === null || b === null) {
        return (a === null) - (b === null);
    }
    return typeof a === "string" ? a.localeCompare(b, "en") : a - b;
}

function makeTable(place, {caption, columns, rows, sort}) {
    const texts = rows.map((row) => row.map((value) => [value].flat().join(" ")).join(" ").toLowerCase());
    const long = rows.length > PAGE_ROWS;
    let [column, descending] = sort || [null, false];
    let order = rows.map((_, at) => at);
    let first = 0;
    let found = order;

    const body = element("tbody");
    const headings = columns.map(([heading, kind], at) => {
        if (UNSORTED.has(kind)) {
            return element("th", {scope: "col", class: "number"}, heading);
        }
        const button = element("button", {type: "button"}, heading);
        button.addEventListener("click", () => {
            // Numbers are wanted from the largest down, texts from A to Z.
            descending = column === at ? !descending : NUMBERS.has(kind);
            column = at;
            arrange();
        });
        return element("th", {scope: "col", class: kindClass(kind)}, button);
    });
    const search = element("input", {type: "search", "aria-label": `Search: ${caption}`, placeholder: "Search"});
    const status = element("p", {role: "status"});
    const back = element("button", {type: "button"}, "Previous");
    const on = element("button", {type: "button"}, "Next");
    const bar = element("div", {class: "tools"}, search, status, back, on);

    function show() {
        body.replaceChildren(...found.slice(first, first + PAGE_ROWS).map((at) =>
            element("tr", {}, ...rows[at].map((value, index) => cell(value, columns[index][1])))));
        const last = Math.min(first + PAGE_ROWS, found.length);
        status.textContent = found.length ? `${first + 1} to ${last} of ${found.length}` : "Nothing found";
        back.disabled = first === 0;
        on.disabled = last === found.length;
    }

    function filter() {
        const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
        found = words.length ? order.filter((at) => words.every((word) => texts[at].includes(word))) : order;
        first = 0;
        show();
    }

    function arrange() {
        if (column !== null) {
            const keys = rows.map((row) => sortKey(row[column]));
            const turn = descending ? -1 : 1;
            order = order.slice().sort((a, b) =>
                (keys[a] === null || keys[b] === null ? 1 : turn) * compared(keys[a], keys[b]) || a - b);
        }
        headings.forEach((heading, at) => UNSORTED.has(columns[at][1]) ||
            heading.setAttribute("aria-sort", at !== column ? "none" : descending ? "descending" : "ascending"));
        filter();
    }

    search.addEventListener("input", filter);
    back.addEventListener("click", () => { first -= PAGE_ROWS; show(); });
    on.addEventListener("click", () => { first += PAGE_ROWS; show(); });
    const table = element("table", {}, element("caption", {}, caption),
        element("thead", {}, element("tr", {}, ...headings)), body);
    place.replaceChildren(...(long ? [bar] : []), element("div", {class: "scroll"}, table));
    if (!rows.length) {
        place.replaceChildren(element("p", {class: "note"}, `${caption}: none.`));
    }
    arrange();
}
