"""Jinja environments that escape everything but Markup, so that no text from data can become code."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup


def environment(folder: Path, filters: dict[str, Callable[..., Any]], **options: Any) -> jinja2.Environment:
    """Create an environment for the templates in `folder`/templates, with these filters."""
    usual = {"trim_blocks": True, "lstrip_blocks": True, "keep_trailing_newline": True}
    loader = jinja2.FileSystemLoader(folder / "templates")
    templates = jinja2.Environment(loader=loader, undefined=jinja2.StrictUndefined, **usual | options)
    templates.filters |= filters
    return templates


def unless_markup(escape: Callable[[object], str]) -> Callable[[object], object]:
    """Make a `finalize` function that passes every value but Markup through `escape`."""
    return lambda value: value if isinstance(value, Markup) else escape(value)
