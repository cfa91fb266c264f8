"""Protocols: allowed values, labels, and that they need no torch."""

from __future__ import annotations

import subprocess
import sys

import pytest

from datasets.protocol import Protocol


@pytest.mark.parametrize(
    ("protocol", "released_filter", "label"),
    [
        (Protocol(), "none", "released"),
        (Protocol(filter="one-pass"), "one-pass", "released"),
        (Protocol(filter="one-pass"), "none", "released,filter=one-pass"),
        (Protocol(filter="none"), "one-pass", "released,filter=none"),
        (Protocol(preset="text", filter="core"), "one-pass", "text"),
        (Protocol(history="full", ties="shuffle:3"), "none", "released,history=full,ties=shuffle:3"),
        (Protocol(quantile=0.9), "none", "released,quantile=0.9"),
        (Protocol(quantile=0.75, until=0.8), "none", "released,quantile=0.75,until=0.8"),
        (Protocol(ties="file"), "none", "released,ties=file"),
        (Protocol(preset="leave-one-out", filter="core", ties="file"), "none", "leave-one-out,filter=core"),
        (Protocol(preset="leave-one-out"), "none", "leave-one-out,ties=draws"),
        (Protocol(preset="sets", ties="shuffle:0"), "none", "sets"),
    ],
)
def test_a_label_names_the_preset_and_all_differences_from_it(
    protocol: Protocol, released_filter: str, label: str
) -> None:
    assert protocol.label(released_filter) == label


def test_an_open_window_is_stored_without_an_end() -> None:
    written = {"preset": "released", "filter": "none", "history": "after-T", "ties": "draws", "quantile": 0.95}
    assert Protocol().to_json() == {**written, "min_events": 3}
    windowed = Protocol(quantile=0.9, until=0.95)
    assert windowed.to_json() == {**written, "quantile": 0.9, "until": 0.95, "min_events": 3}
    assert Protocol(**windowed.to_json()) == windowed


def test_presets() -> None:
    assert Protocol.of_preset("released", "one-pass") == Protocol(filter="one-pass")
    assert Protocol.of_preset("text", "one-pass") == Protocol(preset="text", filter="core")
    home = Protocol.of_preset("leave-one-out", "one-pass")
    assert home == Protocol(preset="leave-one-out", filter="one-pass", ties="file")
    assert Protocol.of_preset("sets", "core") == Protocol(preset="sets", filter="core", ties="shuffle:0")
    with pytest.raises(ValueError, match="the items of a set have no order"):
        Protocol(preset="sets", ties="file")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("preset", "new"),
        ("filter", "5-core"),
        ("history", "all"),
        ("ties", "shuffle"),
        ("ties", "shuffle:-1"),
        ("quantile", 0.0),
        ("quantile", 1.0),
        ("quantile", float("nan")),
        ("until", 0.0),
        ("until", 1.1),
        ("min_events", 2),
    ],
)
def test_an_impossible_protocol_names_its_key(key: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"^protocol\.{key}: .* is not possible; give .+$"):
        Protocol(**{key: value})


def test_protocols_need_neither_torch_nor_pandas() -> None:
    code = "import sys, datasets.protocol; print(sorted({'torch', 'pandas'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
