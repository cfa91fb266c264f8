"""What the paper's text refers to: equations, sections, figures and datasets."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from benchmark.paper.audit.finding import AuditFinding, agreement

Contents = Mapping[str, Mapping[str, str]]
"""What stands under each number or name, by kind: equation, section, figure; empty if it cannot be told."""


def references(entries: Iterable[Mapping[str, str]], contents: Contents) -> list[AuditFinding]:
    """Whether what is referred to exists and is about what the reference says; keys as in audit.toml's `references`."""
    return [_reference(entry, contents[entry["kind"]]) for entry in entries]


def _reference(entry: Mapping[str, str], contents: Mapping[str, str]) -> AuditFinding:
    kind, target, subject = entry["kind"], entry["to"], entry["subject"]
    name, quoted = f"{kind.capitalize()} {target}", f"“{entry['quote']}”"
    if contents.get(target) == subject:
        return AuditFinding(entry["place"], quoted, f"{name} is about {subject}.", "agrees")
    if contents.get(target) == "":
        text = f"The text at hand does not tell what {name} shows."
        return AuditFinding(entry["place"], quoted, text, "cannot be told")
    text = f"{name} is about {contents[target]}" if target in contents else f"There is no {name}"
    text += "".join(f"; {kind} {there} is about {what}" for there, what in contents.items() if what == subject)
    return AuditFinding(entry["place"], quoted, f"{text}.", "disagrees")


def datasets(named: Collection[str], tables: Mapping[str, Collection[str]]) -> Iterator[AuditFinding]:
    """The datasets that the text names against those of the tables, by the tables' titles: a finding per dataset."""
    for name in dict.fromkeys([*named, *(name for table in tables.values() for name in table)]):
        where = [title for title, table in tables.items() if name in table]
        printed = "named in the text" if name in named else "not named in the text"
        follows = f"In {', '.join(where)}." if where else "In no table."
        yield AuditFinding(name, printed, follows, agreement(bool(where) and name in named))
