// The page of an instance.
"use strict";

const NAMES = GRT_SITE.instance;

entryPage("instances", "An instance", (id, data) => {
    const monthly = objects(data.months, NAMES.month);
    const users = objects(data.users, NAMES.users);
    const link = address(data.url || "", "address");
    return [
        element("p", {class: "note"}, id, link ? " – " : "", link ? element("a", {href: link}, link) : ""),
        data.description ? element("p", {}, data.description) : "",
        section("Its export", tableOf({
            caption: "Archives, and how far their numbers can be trusted",
            columns: GRT_SITE.status, rows: data.status || [],
        })),
        section("Jobs", chartOf({
            caption: "Jobs by month and state", kind: "stack", heading: "month", format: "count",
            x: monthly.map((row) => row.month || "unknown"),
            series: ["ok", "error", "other"].map((state) => [state, monthly.map((row) => row[state])]),
        })),
        section("Users", chartOf({
            caption: "Users at the time of each archive", kind: "lines", heading: "archive made", format: "count",
            x: users.map((row) => written(row.generated, "day")),
            series: [["active", users.map((row) => row.active)], ["all", users.map((row) => row.total)]],
        })),
        section("Its tools", tableOf({
            caption: "The most used tools, all versions together",
            columns: [["tool", "tool"], ["jobs", "count"], ["error rate", "share"], ["core hours", "number"]],
            rows: data.tools || [],
        })),
    ];
});
