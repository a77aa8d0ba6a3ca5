"""What must not leave the raw archives: found wherever it stands, and in nothing that a run writes."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson
import polars as pl
import polars.selectors as cs
import pytest
from build import HEADERS, examples, line, write_archive
from calling import Call, places, query
from hypothesis import given
from hypothesis import strategies as st
from stored import said

from grt_batch.core.config import Config
from grt_batch.core.errors import BadConfig
from grt_batch.core.redaction_defaults import NAMES, PATTERNS
from grt_batch.decode.columns import WANTED, Decoded
from grt_batch.decode.decoder import decode
from grt_batch.decode.param_values import REDACTED, VALUE_BYTES
from grt_batch.decode.redaction import Redaction, redacted
from grt_batch.modules.registry import discover
from grt_batch.pipeline.keys import PARTIAL, REJECT_FILE, account_key
from grt_batch.pipeline.request import RunSummary
from grt_batch.schema.members import Kind, layout_of
from grt_batch.store.store import Store
from grt_batch.uploads.archive import Block

DEFAULT = Redaction(PATTERNS, NAMES)
HEX = "0123456789abcdef" * 2


def block_of(kind: Kind, data: bytes) -> Decoded:
    """What a block of lines decodes to, for who wants all of it."""
    return decode(Block(layout_of(kind, [HEADERS[kind].rstrip(b"\n")])[0], 0, data), WANTED)


def of(text: str) -> str:
    return str(DEFAULT.values(pl.Series([text])).item())


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("john.doe@example.org", "{}"),
        ("to jürg+x@müller.example, now", "to {}, now"),
        ("?mail=a%40b.org&x", "?mail={}&x"),
        ("/home/jdoe", "{}"),
        ("/home/jdoe/data/x.bam", "{}/data/x.bam"),
        ("/gpfs/home/jdoe/x", "/gpfs{}/x"),
        ("home/jdoe/x", "{}/x"),
        ("/Users/Jane Doe/x", "{} Doe/x"),
        (r"C:\Users\jane\x", r"C:{}\x"),
        ('{"path":"/home/jdoe"}', '{"path":"{}"}'),
        ("see https://user:pw@host.org/x?y=1 now", "see {} now"),
        ("ftp://user@host", "{}"),
        ("postgresql://u:p@ss@host/db", "{}"),
        ("https://x.org/a?X-Amz-Signature=abc123&b", "https://x.org/a?{}&b"),
        (f"key {HEX}.", "key {}."),
        ("AKIAIOSFODNN7EXAMPLE", "{}"),
        (f"ghp_{'a1' * 18} glpat-{'x' * 20} hf_{'Z' * 30} sk-{'0' * 40}", "{} {} {} {}"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nrest", "{}\nrest"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE", "{}"),
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmN", "{}"),
        ("Authorization: Bearer 0123456789abcdef-~", "Authorization: {} 0123456789abcdef-~"),
        ("bearer 0123456789abcdef-~", "{}"),
        ("--password hunter2 -v", "--password {} -v"),
        ("-x --db-password=hunter2 -v", "-x --db-password={} -v"),
        ("password=a,token: 'b c'; \"secret\": \"d \\\" e\" f", 'password={},token: {}; "secret": {} f'),
        ("API-KEY => k; apiKey=l", "API-KEY => {}; apiKey={}"),
        ('{"a":1.50,"password":"x","n":[{"apiToken":["t"]},"--token=u v"]}',
         '{"a":1.50,"n":[{"apiToken":"{}"},"--token={} v"],"password":"{}"}'),
        ('{"auth":"{\\"password\\":\\"x\\"}"}', '{"auth":"{\\"password\\":\\"{}\\"}"}'),
        ('{"password":{"deep":1}}', '{"password":"{}"}'),
        ('{"password":"x"', '{"password":{}'),
        ("[" * 2000 + '{"password":"x"}' + "]" * 2000, "[" * 2000 + '{"password":{}}' + "]" * 2000),
    ],
)  # fmt: skip
def test_what_tells_of_people_or_lets_them_in_is_redacted(text: str, left: str) -> None:
    assert of(text) == left.replace("{}", REDACTED)
    assert of(of(text)) == of(text)


@pytest.mark.parametrize(
    "text",
    [
        "", "hg38", "galaxy@0.7.17", "@read 1/1", "chr1:1-2", "homeobox/x", "/home", "https://usegalaxy.org/u/x?y=1",
        "http://host:8080/x", HEX[:-1], f"{HEX}0", f"x{HEX}", "3fa85f64-5717-4562-b3fc-2c963f66afa6", "sk-learn",
        "max_tokens=5", "tokenizer: bpe", "secretome", "the secret of it", "SECRETION=1", "1.50", "^>",
        '{"token":null,"password":""}',
        '{"n":[{"id":1,"src":"hda"}],"token_":null}', "bearer of news", "Müller & Söhne",
    ],
)  # fmt: skip
def test_what_is_none_of_that_stays(text: str) -> None:
    assert of(text) == text


@examples(200)
@given(
    before=st.text(max_size=20), secret=st.sampled_from(["a@b.org", "/home/jdoe", f"ghp_{'a' * 36}"]), after=st.text()
)
def test_it_is_found_between_any_texts_and_the_rest_of_them_stays(before: str, secret: str, after: str) -> None:
    text = of(f"{before} {secret} {after}")
    assert REDACTED in text
    assert secret not in text


def test_null_stays_null() -> None:
    assert DEFAULT.values(pl.Series([None, "a@b.org"])).to_list() == [None, REDACTED]
    assert Redaction().values(pl.Series([None, "a@b.org"])).to_list() == [None, "a@b.org"]


@pytest.mark.parametrize(
    ("name", "has"),
    [
        ("password", True), ("PASSWORD", True), ("db_password_2", True), ("section|auth|password", True),
        ("apiKey", True), ("api key", True), ("API-KEY", True), ("userToken", True), ("tokenValue", True),
        ("AWS_SECRET_ACCESS_KEY", True), ("credentials", True), ("max_tokens", False), ("tokenizer", False),
        ("secretome", False), ("passwordless", False), ("subtoken", False), ("key", False), ("", False),
    ],
)  # fmt: skip
def test_a_name_has_a_word_where_that_stands_by_itself(name: str, has: bool) -> None:
    assert DEFAULT.named(pl.Series([name])).to_list() == [has]


@pytest.mark.parametrize(
    ("patterns", "names", "what"),
    [
        (("(",), (), "'(' is no regular expression: unclosed group"),
        (("(?<=a)b",), (), "look-behind, is not supported"),
        (("a*",), (), "'a*' matches where there is nothing"),
        ((), ("--",), "'--' has no letter"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(
    patterns: tuple[str, ...], names: tuple[str, ...], what: str
) -> None:
    with pytest.raises(BadConfig) as caught:
        Redaction(patterns, names).check()
    assert what in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_run_with_a_bad_pattern_ends_before_it_reads_anything(call: Call, good: Path, tmp_path: Path) -> None:
    Path("bad.toml").write_text('[privacy]\nredact_patterns = ["("]\n')
    answer = call("run", "--uploads", good, "--config", "bad.toml", "--database", "host=/nowhere", *places(tmp_path))
    assert answer.code == 2
    assert "redact_patterns is wrong: '('" in answer.complaint
    assert not (tmp_path / "reports").exists()


def test_a_parameter_is_redacted_by_its_name_or_its_value_and_counted_by_record() -> None:
    block = block_of(
        Kind.PARAMS,
        line(1, "title", "a@b.org") + line(2, "title", "a@b.org") + line(3, "api_key", '"\\"x\\""')
        + line(4, "token", "None") + line(5, "token", "") + line(6, "title", '"null"') + line(7, "title", "hg38"),
    )  # fmt: skip
    found = redacted(block, DEFAULT)
    texts = [found.texts["param"][code][:2] for code in found.columns["param"]]
    assert texts == [
        ("title", REDACTED), ("title", REDACTED), ("api_key", REDACTED),
        ("token", None), ("token", ""), ("title", REDACTED), ("title", "hg38"),
    ]  # fmt: skip
    assert found.redacted == 3
    assert redacted(block, Redaction()) is block


def leaves_of(text: bytes) -> tuple[list[set[tuple[str | None, str | None]]], int]:
    """The names and values of each record's leaves, redacted, and how many records were."""
    found = redacted(block_of(Kind.PARAMS, text), DEFAULT)
    texts = [found.texts["leaf"][code][:2] for code in found.columns["leaf"].tolist()]
    ends = np.cumsum(found.columns["leaves"]).tolist()
    return [{*texts[begin:end]} for begin, end in zip([0, *ends], ends, strict=False)], found.redacted  # type: ignore[misc]


def test_leaves_are_redacted_by_their_names_and_values_and_their_names_too() -> None:
    value = {"a": "a@b.org", "auth": {"token": "x", "n": 5}, "list": ["/home/jdoe/x", 1], "text": "--password=x"}
    found, count = leaves_of(line(1, "p", json.dumps(value)) + line(2, "secret", '{"a": 1, "b": null, "c": ""}')
                             + line(3, "p", '{"x@y.org": "b", "k": 1}') + line(4, "p", '{"k": 1}'))  # fmt: skip
    assert found == [
        {("p|a", REDACTED), ("p|auth|token", REDACTED), ("p|auth|n", "5"), ("p|list", f'["{REDACTED}/x",1]'),
         ("p|text", f"--password={REDACTED}")},
        {("secret|a", REDACTED), ("secret|b", ""), ("secret|c", "")},
        {(f"p|{REDACTED}", "b"), ("p|k", "1")},
        {("p|k", "1")},
    ]  # fmt: skip
    assert count == 3


def test_all_that_is_below_a_secret_is_redacted() -> None:
    value = {"token": {"a": "x", "b": [1, 2], "c": [{"d": "y"}], "e": {"src": "hda", "id": 1}}}
    (found,), _ = leaves_of(line(1, "p", json.dumps(value)))
    values = {name: value for name, value in found if name != "p|token|e"}
    assert set(values.values()) == {REDACTED}
    assert ("p|token|e", None) in found


@pytest.mark.parametrize("secret", ["a@b.org", "/home/jdoe", f"ghp_{'a' * 36}", HEX, "https://u:p@h/x"])
@pytest.mark.parametrize(
    "place", ["{}", '["{}", 1]', '{{"a": "{}"}}', '[{{"a": "x {} y"}}]', '{{"{}": 1}}', '{{"a": [["{}"]]}}']
)
def test_nothing_of_a_secret_is_in_a_leaf_wherever_it_stands(place: str, secret: str) -> None:
    for text in (place.format(secret), json.dumps(place.format(secret))):
        (found,), count = leaves_of(line(1, "p", text))
        assert secret not in str(found)
        assert REDACTED in str(found)
        assert count == 1


def test_a_value_of_a_leaf_is_redacted_before_it_is_cut() -> None:
    text = "x" * (VALUE_BYTES - 25) + " someone@example.org " + "y" * 100
    ((leaf,),), _ = leaves_of(line(1, "p", json.dumps({"a": text})))
    assert "some" not in (leaf[1] or "")
    assert len((leaf[1] or "").encode()) <= VALUE_BYTES


def test_the_id_of_a_workflow_is_no_key() -> None:
    name = "__workflow_invocation_uuid__"
    lines = line(1, name, HEX) + line(2, "other", HEX) + line(3, name, "a@b.org") + line(4, name, "None")
    found = redacted(block_of(Kind.PARAMS, lines), DEFAULT)
    assert [value for _, value, _ in found.texts["param"]] == [HEX, REDACTED, REDACTED, None]
    assert found.redacted == 2


def test_a_value_is_redacted_before_it_is_cut() -> None:
    text = "x" * (VALUE_BYTES - 25) + " someone@example.org " + "y" * 100
    found = redacted(block_of(Kind.PARAMS, line(1, "p", text)), DEFAULT)
    ((_, value, _),) = found.texts["param"]
    assert "some" not in (value or "")
    assert len((value or "").encode()) <= VALUE_BYTES
    whole = redacted(block_of(Kind.PARAMS, line(1, "p", text)), Redaction())
    assert " someo…" in (whole.texts["param"][0][1] or "")


def test_a_text_metric_is_redacted_by_its_name_or_its_value() -> None:
    block = block_of(
        Kind.METRIC_TXT,
        line(1, "env", "GALAXY_API_KEY", "same") + line(2, "env", "PATH", "same") + line(3, "env", "HOME", "/home/jdoe")
        + line(4, "env", "API_KEY", "None") + line(5, "env", "HOSTNAME", "node7"),
    )  # fmt: skip
    found = redacted(block, DEFAULT)
    assert [found.texts["text"][code] for code in found.columns["text"]] == [
        (REDACTED,), ("same",), (REDACTED,), (None,), ("node7",),
    ]  # fmt: skip
    assert found.redacted == 2


@pytest.mark.parametrize(
    ("raw", "left"),
    [
        ('12\tpassword\t"\\"hunter2\\""\textra', "12\tpassword\t{}"),
        ('13\tfiles\t"{\\"password\\": \\"x\\"}"', '13\tfiles\t"{\\"password\\{}'),
        ("14\ta\tb@c.org\td", "14\ta\t{}\td"),
        ("15\tmax_tokens\t5", "15\tmax_tokens\t5"),
    ],
)
def test_of_a_line_that_is_no_record_nothing_stays_behind_a_name(raw: str, left: str) -> None:
    assert DEFAULT.lines(pl.Series([raw])).to_list() == [left.replace("{}", REDACTED)]


SECRETS = ("someone@example.org", "/home/jdoe", "hunter2", HEX, "user:pw@", "jdoe")


def add_secrets(root: Path) -> None:
    """An archive that has secrets wherever an exporter can write some."""
    members = dict(HEADERS)
    for job in range(1, 9):
        members[Kind.JOBS] += line(job, "tool", "1", "ok", "2024-06-15 00:00:00")
        members[Kind.METRIC_NUM] += line(job, "core", "runtime_seconds", "4.0000000")
        members[Kind.DATASETS] += line(job, job, "bam", 1000, "in", "input")
    nested = {"__current_case__": 0, "password": "hunter2", "mail": "someone@example.org", "keep": 1}
    values = [
        "someone@example.org",
        "/home/jdoe/x",
        HEX,
        "https://user:pw@host/x",
        nested,
        "x" * 1010 + " " + SECRETS[0],
    ]
    for job, value in enumerate(values, 1):
        members[Kind.PARAMS] += line(job, "p", json.dumps(json.dumps(value)))
    members[Kind.PARAMS] += line(7, "a|password", "hunter2") + line(8, "keep", "this")
    # No records: a line of too many columns, and the fragment before a joined one.
    members[Kind.PARAMS] += b"x\ta|password\thunter2\n" + line(7, "p", 8, "a|password", "hunter2")
    members[Kind.JOBS] += line("x", "/home/jdoe/tool", "1", "ok", "2024-06-15 00:00:00")
    members[Kind.METRIC_TXT] += line(1, "env", "HOME", "/home/jdoe") + line(1, "env", "API_KEY", "hunter2")
    members[Kind.METRIC_TXT] += line(2, "env", "LANG", "keep") + line("x", "env", "MAIL", "someone@example.org")
    write_archive(root / "one" / "archives", "1", members, generated="1719000000")


def texts_of(kind: str, raw: bytes) -> Iterator[tuple[str, str]]:
    """The texts of what the store has of a module, whichever it is: those of each cube, or the parts of an export."""
    found = said(kind, raw)
    if isinstance(found, dict):
        for name, (_, texts) in found.items():
            yield name, "\n".join(text for known in texts.values() for text in known)
    else:
        for part in found:
            yield part.name, _unpacked(part.data)


def told(frame: pl.DataFrame) -> Iterator[str]:
    """All texts of a frame, those of its bytes too."""
    for column in frame.select(cs.string() | cs.enum() | cs.binary()).iter_columns():
        for item in column:
            yield item.decode("latin-1") if isinstance(item, bytes) else str(item)


def everything(config: Config) -> Iterator[tuple[str, str]]:
    """All that a run has written, as text, and where it stands."""
    store = Store(config.work / "store")
    for file in store.root.rglob("*"):
        if not file.is_file():
            continue
        kind = file.relative_to(store.root).parts[0]
        raw = store.get(kind, file.name)
        assert raw is not None
        if kind in (PARTIAL, "merged"):
            for name, text in texts_of(kind, raw):
                yield f"{kind} {name}", text
        else:
            yield kind, raw.decode("latin-1")
    for file in config.reports.rglob("*"):
        if file.is_file():
            yield str(file), _unpacked(file.read_bytes())
    tables = "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace = 'grt_data'::regnamespace"
    for (name,) in query(config.database, tables):
        yield name, "\n".join(row for (row,) in query(config.database, f"SELECT t::text FROM {name} AS t"))


def _unpacked(data: bytes) -> str:
    if data.startswith(b"PAR1"):
        return "\n".join(told(pl.read_parquet(data)))
    return (gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data).decode("latin-1")


Run = Callable[..., RunSummary]


def test_nothing_that_a_run_writes_has_a_secret(tmp_path: Path, config: Config, run_here: Run) -> None:
    add_secrets(tmp_path / "uploads")
    config = replace(config, uploads=tmp_path / "uploads")
    summary = run_here(config, modules=tuple(discover()))
    written = list(everything(config))
    assert [(place, secret) for place, text in written for secret in SECRETS if secret in text] == []
    seen = {place.split()[0] for place, text in written if REDACTED in text}
    assert {REJECT_FILE, PARTIAL} <= seen
    places_ = " ".join(seen)
    for place in ("param_value.tsv", "rejects", "params.tsv.gz", ".parquet", "job_param", "job_metric", "param_value"):
        assert place in places_
    assert sum("keep" in text for _, text in written) > 5
    assert summary.numbers["redacted"] == 8 + 2 + 3
    rejects = (config.reports / "rejects" / "one" / "1.tsv").read_text()
    assert "a|password\\t[redacted]\n" in rejects


def test_without_patterns_and_names_all_of_it_is_there(tmp_path: Path, config: Config, run_here: Run) -> None:
    add_secrets(tmp_path / "uploads")
    config = replace(config, uploads=tmp_path / "uploads", redact_patterns=(), redact_names=())
    run_here(config, modules=tuple(discover()))
    text = "\n".join(text for _, text in everything(config))
    assert all(secret in text for secret in SECRETS)


def test_another_list_reads_the_archives_again(tmp_path: Path, config: Config, run_here: Run) -> None:
    add_secrets(tmp_path / "uploads")
    config = replace(config, uploads=tmp_path / "uploads", redact_patterns=(), redact_names=())
    table = config.reports / "latest" / "param_value.tsv"
    run_here(config)
    assert "hunter2" in table.read_text()
    run_here(replace(config, redact_names=("password",)))
    assert "hunter2" not in table.read_text()
    assert "/home/jdoe" in table.read_text()
    run_here(replace(config, redact_names=("password",), redact_patterns=("/home/[a-z]+",)))
    assert "/home/jdoe" not in table.read_text()


def test_the_keys_of_what_is_stored_depend_on_both_lists() -> None:
    lists: list[tuple[tuple[str, ...], tuple[str, ...]]] = [
        ((), ()),
        (("a",), ()),
        ((), ("a",)),
        (("a", "b"), ()),
        (("a",), ("b",)),
    ]
    configs = [replace(Config(), redact_patterns=patterns, redact_names=names) for patterns, names in lists]
    assert len({account_key("0" * 64, config) for config in configs}) == len(lists)
    assert orjson.loads(orjson.dumps(list(PATTERNS))) == list(PATTERNS)
