// Every page whose content stands in it, or beside it in a table of its own.
"use strict";

for (const source of document.querySelectorAll("script[type='application/json']")) {
    const made = JSON.parse(source.textContent);
    (made.columns ? makeTable : makeChart)(source.parentElement, made);
}
if (window.GRT_TABLE) {
    makeTable(document.getElementById("table"), GRT_TABLE);
}
