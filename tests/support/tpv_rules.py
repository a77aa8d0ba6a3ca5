"""The rules of Total Perspective Vortex that a tools.yml of ours must obey: what `tpv lint` and `tpv format` ask for.

`make tpv` asks the commands themselves, which take 1.6 GB and minutes.
"""

from __future__ import annotations

import io
import re
from typing import Any

from ruamel.yaml import YAML, RoundTripRepresenter

ORDER = ("id", "inherits", "if", "context", "gpus", "cores", "mem", "env", "params", "scheduling", "rules")


def faults(text: str) -> list[str]:
    """What is wrong with a tools.yml; nothing where all is right."""
    document = YAML().load(text)
    found = [] if _formatted(document) == text else ["tpv format would write it in another way"]
    tools = document["tools"]
    if list(tools) != sorted(tools, key=lambda key: ("/" not in key, key)):
        found.append("the tools are not in order")
    for pattern, entry in tools.items():
        re.compile(pattern)
        found += [f"{pattern}: {fault}" for fault in _faults(entry)]
    return found


def _faults(entry: Any) -> list[str]:
    rules = entry.get("rules", [])
    found = [f"{list(one)} are not in order" for one in (entry, *rules) if not _in_order(one)]
    found += ["cores without mem"] if "cores" in entry and "mem" not in entry else []
    for one in rules:
        if "if" not in one or "id" not in one:
            found.append("a rule without if or id")
        else:
            compile(str(one["if"]), one["id"], "eval")
    if len({one["id"] for one in rules}) < len(rules):
        found.append("rules with the same id")
    return found + [f"mem is {one['mem']!r}" for one in (entry, *rules) if not isinstance(one["mem"], int | float)]


def _in_order(found: Any) -> bool:
    return list(found) == sorted(found, key=lambda key: (ORDER.index(key) if key in ORDER else len(ORDER), key))


def _formatted(document: Any) -> str:
    """A document as `tpv format` writes it, but for the order of its keys."""
    writer = YAML(typ="full", pure=True)
    writer.Representer = RoundTripRepresenter
    writer.default_flow_style = False
    writer.Emitter = type("Emitter", (writer.Emitter,), {"MAX_SIMPLE_KEY_LENGTH": 1024})
    text = io.StringIO()
    writer.dump(document, text)
    return text.getvalue()
