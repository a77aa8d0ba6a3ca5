"""The configuration: every key, its default and what it is for. It is read once and frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, dataclass, field
from pathlib import Path
from typing import Any

from grt_batch.core.config_values import (
    DEFAULT_LEVELS,
    DirectoryUrl,
    FurtherTarget,
    KeptKind,
    Level,
    Mode,
    Natural,
    Percent,
    Port,
    Positive,
    Price,
    Probability,
    Recipient,
    Rows,
    TargetName,
    Text,
)
from grt_batch.core.redaction_defaults import NAMES, PATTERNS


def _key(default: Any, section: str, unit: str, doc: str, *, secret: bool = False) -> Any:
    """Declare a key: its default, its section of the file, its unit and its purpose. Its type says which values are
    valid. A `secret` value is shown nowhere: it may hold a token in any form."""
    metadata = {"section": section, "unit": unit, "doc": doc, "secret": secret}
    return (
        field(default_factory=dict, metadata=metadata) if default == {} else field(default=default, metadata=metadata)
    )


@dataclass(frozen=True)
class Config:
    """Every key of the configuration; the defaults are those of config/grt_batch.toml."""

    uploads: Path = _key(Path("uploads"), "paths", "folder", "root of the instance folders")
    reports: Path = _key(Path("reports"), "paths", "folder", "where the TSV reports appear")
    work: Path = _key(Path("work"), "paths", "folder", "partial results, lock, embedded server; all ranks share it")
    database: Text = _key(
        "embedded",
        "paths",
        "libpq URL or DSN",
        "where the tables go; embedded = a private server in the work folder",
    )

    modules_dir: str = _key(
        "", "paths", "folder", "reports of your own, one .py file each, beside those of grt_batch (empty = none)"
    )

    targets: Mapping[TargetName, FurtherTarget] = _key(
        {},
        "targets",
        "[targets.NAME] with url, modules, tables, active",
        "further databases that a run publishes to: `url` is a libpq URL or DSN; with `modules` or `tables`, lists of"
        " names, it gets the tables of these modules and these tables alone, beside those that say what was read; with"
        " `active` = false only runs with --targets NAME publish to it",
        secret=True,
    )

    settle_seconds: Natural = _key(
        0, "reading", "seconds", "an archive whose files changed more recently is left for the next run"
    )
    block_bytes: Positive = _key(4 << 20, "reading", "bytes", "size of the blocks that workers decode")
    max_archive_bytes: Natural = _key(
        256 << 30, "reading", "bytes", "an archive that unpacks to more is quarantined (0 = no limit)"
    )
    max_ratio: Natural = _key(
        250,
        "reading",
        "bytes per byte",
        "an archive that unpacks to more times its size is quarantined (0 = no limit)",
    )
    max_line_bytes: Positive = _key(64 << 20, "reading", "bytes", "an archive with a longer line is quarantined")
    reject_text_bytes: Natural = _key(
        65536,
        "reading",
        "bytes",
        "how much of a rejected line the reject file keeps, beside its full length",
    )
    max_reject_bytes: Natural = _key(
        512 << 20, "reading", "bytes", "an archive whose reject file would be larger is quarantined (0 = no limit)"
    )

    left_out_params: tuple[Text, ...] = _key(
        ("__*", "chromInfo"),
        "reading",
        "list of patterns",
        "what Galaxy adds to parameters by itself: the reports leave out parameters, and keys inside of them, with such"
        " names (* = any text), and count them",
    )

    redact_patterns: tuple[Text, ...] = _key(
        PATTERNS,
        "privacy",
        "list of regular expressions",
        "what they match in a value becomes [redacted], one after another; in the syntax of Rust's crate regex",
    )
    redact_names: tuple[Text, ...] = _key(
        NAMES,
        "privacy",
        "list of words",
        "the value of a parameter, text metric or key that has such a word in its name becomes [redacted]",
    )
    public_value_jobs: Positive = _key(
        5,
        "privacy",
        "jobs",
        "grt_public shows a parameter's value used by at least this many jobs, one of them of a public instance",
    )
    public_value_instances: Positive = _key(
        2, "privacy", "instances", "grt_public shows a parameter's value used by jobs of at least this many instances"
    )
    html_private: bool = _key(
        False,
        "privacy",
        "true or false",
        "the report pages show all instances and values, not only what grt_public shows",
    )
    documents_private: bool = _key(
        False,
        "privacy",
        "true or false",
        "the documents have all instances and values, not only what grt_public shows",
    )
    folder_mode: Mode = _key(
        "0750", "privacy", "octal text", "rights of the folders that a run makes; existing ones keep theirs"
    )
    file_mode: Mode = _key(
        "0640", "privacy", "octal text", "rights of the files that a run makes: folder_mode without x"
    )

    aggregate_jobs: Positive = _key(500_000, "computing", "jobs", "jobs that a worker aggregates at a time")
    bytes_per_rank: Natural = _key(
        64 << 20,
        "computing",
        "bytes of tar.gz",
        "grt-batch plan advises one rank for this much to read",
    )
    max_ranks: Natural = _key(64, "computing", "ranks", "the most ranks that grt-batch plan advises")
    heartbeat_seconds: Natural = _key(
        60,
        "computing",
        "seconds",
        "with --ranks, a rank without a sign of life for longer is lost, once it has started (0 = no limit)",
    )
    hosts: str = _key(
        "",
        "computing",
        "HOST:RANKS, …",
        "where --ranks starts the ranks, over ssh (empty = on the hosts of the batch job, or on this one)",
    )
    fault_tolerant: bool = _key(
        False,
        "computing",
        "true or false",
        "with --ranks and an Open MPI 5 with ULFM, a run goes on when a rank other than the first is lost",
    )
    store_max_bytes: Natural = _key(
        0,
        "computing",
        "bytes",
        "size to which a run cuts the store of partial results at its end (0 = no limit)",
    )

    lock_timeout_ms: Positive = _key(
        500, "database", "milliseconds", "how long the swap waits for readers before it gives way and tries again"
    )
    lock_tries: Positive = _key(60, "database", "times", "how often the swap is tried before the run ends with code 4")

    gate_jobs_fell: Percent = _key(
        100,
        "gate",
        "percent",
        "a run is held if an instance has fewer jobs than in the last published tables by more than this (100 = never)",
    )
    gate_vanished: Natural = _key(
        0,
        "gate",
        "instances",
        "a run is held if at least so many instances that had jobs have none (0 = only if that is so of all of them)",
    )
    gate_rejected: Percent = _key(
        100,
        "gate",
        "percent",
        "a run is held if more of the lines of an archive that came or changed are rejected (100 = never)",
    )
    gate_shrunk: Mapping[str, Percent] = _key(
        {},
        "gate",
        "percent by table",
        'a run is held if a table lost more of its rows; "*" stands for the tables that are not named',
    )

    quota_bytes: Natural = _key(
        0,
        "reports",
        "bytes",
        "upload quota of an instance, held against its archives (0 = no quota, no warning)",
    )
    quotas: Mapping[str, Natural] = _key({}, "reports", "bytes by instance", "quotas that differ from quota_bytes")
    warning_levels: tuple[Level, ...] = _key(
        DEFAULT_LEVELS, "reports", "[level, days, fraction of the quota]", "when instance_status warns"
    )
    prediction_days: Positive = _key(
        90,
        "reports",
        "days",
        "the growth of an instance's uploads is measured over this many days before its last archive",
    )
    fresh_days: Natural = _key(
        35,
        "reports",
        "days",
        "an instance that sent nothing for longer gets warning 2, for more than twice as long 3 (0 = no limit)",
    )
    project: Text = _key("grt", "reports", "name", "what the table datasource calls all that this program publishes")
    popular_values: Positive = _key(
        100, "reports", "values", "param_value lists at most so many values of a parameter, the most used"
    )
    change_min_jobs: Positive = _key(
        20,
        "reports",
        "jobs",
        "tool_change compares two windows of at least this many finished jobs each, and runtimes of as many ok jobs",
    )
    change_p_value: Probability = _key(
        0.01,
        "reports",
        "probability above 0, 1 at most",
        "a rate or a median has changed if chance alone makes such a difference no more often than this",
    )
    change_min_rate: Natural = _key(
        5, "reports", "percentage points", "the error rate has changed if it differs by at least this much"
    )
    change_runtime_percent: Positive = _key(
        50,
        "reports",
        "percent",
        "the runtime has changed if the longer of the two medians is at least this much longer",
    )
    tsv_defuse_formulas: bool = _key(
        False,
        "reports",
        "true or false",
        "put ' before texts of the TSV reports that a spreadsheet would read as a formula",
    )
    html: bool = _key(True, "reports", "true or false", "make the report pages, where their packages are installed")
    splitter_copy_to: str = _key(
        "", "reports", "URL of fsspec", "where the folder of the module splitter is copied to, s3://… (empty = nowhere)"
    )

    cold_to: str = _key(
        "",
        "cold",
        "URL of fsspec",
        "where grt-batch archive moves raw archives to: s3://bucket/prefix, file:///tape, … (empty = only with --to)",
    )
    cold_after_days: Natural = _key(
        365, "cold", "days", "a published archive may leave for cold storage so long after it was made"
    )
    cold_storage_class: str = _key(
        "",
        "cold",
        "word of the store",
        "storage class of what is moved to s3://: GLACIER, DEEP_ARCHIVE, GLACIER_IR, … (empty = the bucket's own)",
    )
    cold_keep_instances: tuple[Text, ...] = _key(
        (), "cold", "list of instances", "their archives stay here, however old they are"
    )
    cold_keep_kinds: tuple[KeptKind, ...] = _key(
        (), "cold", "list of public, private", "the archives of such instances stay here, however old they are"
    )
    cold_restored_days: Natural = _key(
        30, "cold", "days", "an archive that was restored stays here for so long before it may leave again"
    )
    cold_thawed_days: Positive = _key(
        7, "cold", "days", "for so long the store keeps what it has thawed, for grt-batch restore to fetch"
    )
    hot_price: Price = _key(
        0.0,
        "cold",
        "number per GB and month",
        "what the disk of the uploads costs, for grt-batch status (0 = not shown)",
    )
    cold_price: Price = _key(
        0.0, "cold", "number per GB and month", "what cold storage costs, for grt-batch status (0 = not shown)"
    )
    currency: str = _key("", "cold", "text", "the currency of both prices, as grt-batch status shows it")

    metrics_file: str = _key(
        "",
        "monitoring",
        "file",
        "written for Prometheus' node_exporter at the end of each run, readable for everybody (empty = none)",
    )

    directory_url: DirectoryUrl = _key(
        "",
        "directory",
        "ldap://HOST[:PORT] or ldaps://HOST[:PORT]",
        "the LDAP server that knows the owners of instances by name (empty = none is asked)",
    )
    directory_base: str = _key("", "directory", "distinguished name", "people are searched below this entry")
    directory_filter: Text = _key(
        "(uid={name})",
        "directory",
        "LDAP filter",
        "finds one person; {name} stands for the owner as metadata.json has it",
    )
    directory_name_attribute: Text = _key("cn", "directory", "attribute", "the name that people read")
    directory_mail_attribute: Text = _key("mail", "directory", "attribute", "the mail address")
    directory_start_tls: bool = _key(
        False,
        "directory",
        "true or false",
        "encrypt an ldap:// connection before anything is sent; ldaps:// always is",
    )
    directory_ca_file: str = _key(
        "",
        "directory",
        "file, PEM",
        "certificates of the authorities that the server's certificate is checked against (empty = the system's)",
    )
    directory_bind: str = _key(
        "", "directory", "distinguished name", "the account that asks (empty = anonymous), with directory_password_file"
    )
    directory_password_file: str = _key(
        "", "directory", "file", "the password of directory_bind; refused if everybody may read it"
    )
    directory_days: Natural = _key(
        7, "directory", "days", "an answer is kept for so long before the server is asked again (0 = each run asks)"
    )
    directory_timeout_seconds: Positive = _key(
        10, "directory", "seconds", "what has no answer by then is asked again by the next run, and stays as it was"
    )

    notify_recipients: tuple[Recipient, ...] = _key(
        (),
        "notify",
        "list of {to, of}",
        "who is told at the end of a run: `to` is a URL of apprise, `of` a list of failed, target, held,"
        " quarantine, late, warning and tool (without it, all of them)",
        secret=True,
    )
    notify_owners: str = _key(
        "",
        "notify",
        "URL of apprise",
        "the mail server, mailto://…, by which the owners of an instance are told of theirs, at the addresses in its"
        " metadata.json and those that [directory] has of them (empty = they are not)",
        secret=True,
    )
    notify_seconds: Positive = _key(
        20, "notify", "seconds", "what could not be sent by then is tried again at the end of the next run"
    )

    host: Text = _key("127.0.0.1", "service", "address", "where grt-batch serve listens; 0.0.0.0 or :: = everywhere")
    port: Port = _key(8080, "service", "number", "TCP port on which grt-batch serve listens (0 = a free one)")
    keys_file: str = _key(
        "", "service", "file", "hashes of the instances' keys (empty = beside the uploads: their name and .keys.json)"
    )
    trusted_proxies: tuple[Text, ...] = _key(
        ("127.0.0.1", "::1"),
        "service",
        "list of addresses and networks",
        "reverse proxies whose X-Forwarded-For says where a request comes from",
    )
    max_connections: Positive = _key(
        256, "service", "connections", "the most connections at a time; each upload needs three open files"
    )
    stall_seconds: Positive = _key(
        60, "service", "seconds", "a client that neither sends nor takes anything for longer is cut off"
    )
    slowest_bytes_per_second: Natural = _key(
        10_000, "service", "bytes per second", "an upload that is slower on average is cut off (0 = no limit)"
    )
    max_upload_bytes: Natural = _key(32 << 30, "service", "bytes", "a larger tar.gz is refused with 413 (0 = no limit)")
    uploads_per_hour: Natural = _key(
        1000, "service", "uploads", "further ones of an instance within an hour are refused with 429 (0 = no limit)"
    )
    min_free_bytes: Natural = _key(
        1 << 30, "service", "bytes", "an upload that would leave less free on the disk is refused with 507"
    )
    enforce_quotas: bool = _key(
        False,
        "service",
        "true or false",
        "refuse uploads beyond quota_bytes and quotas with 507; otherwise instance_status only warns",
    )
    replace_uploads: bool = _key(
        False,
        "service",
        "true or false",
        "an upload replaces the archive of the same identifier; otherwise it is refused with 409 if it differs",
    )
    on_upload: str = _key(
        "", "service", "command", "started by grt-batch serve and watch after archives have come in (empty = nothing)"
    )
    on_upload_quiet_seconds: Natural = _key(
        300, "service", "seconds", "nothing has come in for so long when on_upload starts"
    )
    watch_poll_seconds: Positive = _key(
        60,
        "service",
        "seconds",
        "how often grt-batch watch looks into the uploads, even where the kernel tells of no change",
    )
    public_after_days: Natural = _key(
        0,
        "service",
        "days",
        "raw archives of public instances are handed to everybody so long after they were made, unless metadata.json"
        " says otherwise (0 = never)",
    )
    query_connections: Positive = _key(4, "service", "connections", "to the database, for questions over HTTP")
    query_timeout_seconds: Positive = _key(30, "service", "seconds", "a question over HTTP that takes longer is ended")
    query_page_rows: Rows = _key(10_000, "service", "rows", "the most rows of a page of an answer over HTTP")
    query_cache_seconds: Natural = _key(
        60, "service", "seconds", "for so long browsers and proxies may keep an answer without asking again"
    )

    @property
    def keys_path(self) -> Path:
        """Return the file of the keys."""
        return Path(self.keys_file or f"{self.uploads}.keys.json")

    def quota_of(self, instance_id: str) -> int | None:
        """Return the upload quota of an instance in bytes, None if it has none."""
        return self.quotas.get(instance_id, self.quota_bytes) or None


def is_section(spec: Field[Any]) -> bool:
    """Return whether a key is a section of the file by itself, with names that are free."""
    return bool(spec.metadata["section"] == spec.name)
