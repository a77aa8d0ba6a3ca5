"""The reports that the documentation shows, as source."""

from __future__ import annotations

import re

from places import ROOT

(README,) = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)
"""The example of README: the module tool_days."""


SECOND = (ROOT / "docs" / "examples" / "tool_wait.py").read_text(encoding="utf-8")
"""The example of docs/modules.md: the module tool_wait."""
