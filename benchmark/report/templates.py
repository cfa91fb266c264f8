"""Where templates are rendered: text that is not Markup is escaped, so that none from data is left as it is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup


def environment(folder: Path, filters: dict[str, Callable[..., Any]], **options: Any) -> jinja2.Environment:
    """An environment for the templates in `folder`/templates, which may use these filters."""
    usual = {"trim_blocks": True, "lstrip_blocks": True, "keep_trailing_newline": True}
    loader = jinja2.FileSystemLoader(folder / "templates")
    made = jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined, **usual | options)
    made.filters |= filters
    return made


def unless_markup(escape: Callable[[object], str]) -> Callable[[object], object]:
    """For an environment's `finalize`: every value goes through `escape` but what is Markup."""
    return lambda value: value if isinstance(value, Markup) else escape(value)
