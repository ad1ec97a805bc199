"""The machinery of the benchmark, with as little load as it takes: that figures come out, never which."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from xml.etree import ElementTree

from bench import report
from bench.caching import caching
from bench.cpu import Sample, calmest
from bench.latency import Level
from bench.plan import QUICK, Plan
from bench.suite import MEASUREMENTS, measure
from bench.targets import Figures

LEVELS = ("10", "1000")
TINY = Plan(
    rounds=1,
    streams=2,
    per_second=20,
    slices=1,
    bursts=2,
    burst_size=5,
    requests=2,
    first_deltas=2,
    levels=(2,),
    level_per_second=20,
    level_seconds=0.2,
    level_attempts=1,
    starts=1,
    slice_seconds=0.2,
    lead_seconds=0.1,
    settle_seconds=0.05,
)


def test_every_server_is_measured_and_no_delta_is_lost() -> None:
    """A delta that does not arrive is an error of the run."""
    told: list[str] = []
    ways = ["proxy", "palaver", "palaver-twice", "palaver-page", "naive"]
    found = measure(TINY, told.append, only=["paced", "burst", "first-delta"], ways=ways)
    assert list(found["paced"]) == ways
    assert list(found["burst"]) == ["palaver", "naive"]
    assert all(cost > 0 for kind in ("paced", "burst") for cost in found[kind].values())
    assert {name: set(of) for name, of in found["first-delta"].items()} == {
        name: {"p50", "p99"} for name in ("proxy", "palaver", "naive")
    }
    assert told[0].startswith("paced: round 1 of 1: proxy")
    json.dumps(found)


def test_many_streams_are_timed_and_weighed() -> None:
    found = measure(TINY, lambda _: None, only=["start", "streams"], ways=["palaver"])
    assert set(found["start"]) == {"seconds", "megabytes"}
    assert list(found["streams"]) == ["direct", "palaver"]
    level = Level(**found["streams"]["palaver"]["2"])
    assert level.p50 is not None
    assert level.p99 is not None
    assert level.p50 <= level.p99


def test_repeated_system_prompts_are_billed_at_a_fraction() -> None:
    """The seed's figure is 30 % less; the service that counts follows Anthropic's documentation."""
    saved = caching(lambda _: None)
    assert min(saved["gateway"], saved["chat"]) > 70


def figures(paced: float = 40.0) -> Figures:
    """A whole run, in which our paced streams cost so many microseconds and every other cost is 100 units."""
    level = asdict(
        Level(p50=1.0, p99=100.0, behind=0, kilobytes=100.0, server_load=0.5, generator_load=0.5, foreign=0.0)
    )
    found: Figures = {kind: dict.fromkeys(names, 100.0) for kind, names in MEASUREMENTS.items()}
    found["paced"] |= {"proxy": 20.0, "palaver": paced}
    for kind in ("first-delta", "gateway"):
        found[kind] = {name: {"p50": 1.0, "p99": 2.0} for name in MEASUREMENTS[kind]}
    found["streams"] = {name: dict.fromkeys(LEVELS, level) for name in MEASUREMENTS["streams"]}
    found["start"] = {"seconds": 0.5, "megabytes": 50.0}
    found["foreign"] = {"paced": 0.0, "burst": 0.0}
    return {
        **found,
        "date": "2026-01-01",
        "machine": {"cores": "2"},
        "versions": {"Python": "3"},
        "plan": asdict(QUICK),
    }


def row(text: str, figure: str) -> list[str]:
    line = next(line for line in text.splitlines() if line.startswith(f"| {figure} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_the_report_says_which_targets_are_met_and_by_how_much_not() -> None:
    assert row(report.page(figures(40)), "CPU per delta, paced")[2:] == ["2 times the byte proxy", "met"]
    measured, verdict = row(report.page(figures(92)), "CPU per delta, paced")[2:]
    assert measured == "4.6 times the byte proxy"
    assert verdict.startswith("**2 times the target**: "), "and why"


def test_what_was_not_measured_is_no_target_met() -> None:
    found = figures()
    del found["paced"]["node"]
    assert row(report.page(found), "CPU per delta, paced, beside the AI SDK on Node")[2:] == ["", "not measured here"]


def test_the_report_comes_with_its_figures_and_charts(tmp_path: Path) -> None:
    found = figures()
    found["streams"]["naive"]["1000"] = {**found["streams"]["naive"]["1000"], "p50": None, "p99": None}
    report.write(found, tmp_path)
    assert json.loads((tmp_path / "figures.json").read_text()) == json.loads(json.dumps(found))
    page = (tmp_path / "README.md").read_text()
    for name in ("cpu.svg", "latency.svg", "memory.svg"):
        assert f"]({name})" in page
        drawing = ElementTree.parse(tmp_path / name).getroot()
        assert drawing.tag == "{http://www.w3.org/2000/svg}svg"
        assert "Palaver" in "".join(drawing.itertext())


def test_what_others_did_is_not_the_servers() -> None:
    samples = [Sample(100.0, foreign=0.9), Sample(10.0, foreign=0.1), Sample(20.0, foreign=0.2)]
    assert [each.microseconds for each in calmest(samples)] == [10.0, 20.0]


def test_a_run_in_company_says_so() -> None:
    calm, busy = figures(), figures()
    busy["foreign"]["paced"] = 0.5
    assert "Others used" not in report.page(calm)
    assert "Others used 0% to 50% of the machine" in report.page(busy)
