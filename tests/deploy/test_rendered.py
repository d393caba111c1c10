"""What is rendered from the chart for people without Helm is what the chart says now."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import yaml

from chart import CHART, REPOSITORY, helm, objects
from documented import code, table


@pytest.fixture(scope="module")
def renderer() -> ModuleType:
    """scripts/render.py."""
    pytest.importorskip("grafana_foundation_sdk", reason="grafana-foundation-sdk is not for this Python")
    spec = importlib.util.spec_from_file_location("render", REPOSITORY / "scripts" / "render.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_nothing_has_drifted(renderer: ModuleType) -> None:
    files: dict[Path, str] = renderer.rendered_files()
    drifted = [path.name for path, text in files.items() if not path.is_file() or path.read_text() != text]
    folders = (renderer.MANIFESTS, renderer.DASHBOARDS)
    drifted += [path.name for folder in folders for path in folder.iterdir() if path not in files]
    assert drifted == [], "run `make render`"


def test_a_value_without_a_meaning_is_refused(
    renderer: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "values.yaml").write_text("told:\n  # -- What it means.\n  one: {inside: 1}\n  two: 2\n")
    monkeypatch.setattr(renderer, "CHART", tmp_path)
    with pytest.raises(SystemExit, match="told.two of values.yaml has no comment"):
        list(renderer.documented_values())


def test_a_value_has_its_whole_path(renderer: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "values.yaml").write_text("backup:\n  s3:\n    # -- Where to.\n    bucket: mine\n")
    monkeypatch.setattr(renderer, "CHART", tmp_path)
    assert list(renderer.documented_values()) == [("backup.s3.bucket", "`mine`", "Where to.")]


def test_the_files_have_all_that_helm_would_make(renderer: ModuleType) -> None:
    files = sorted(renderer.MANIFESTS.glob("*.yaml"))
    documents = [one for path in files for one in yaml.safe_load_all(path.read_text())]
    everything = [one for one in objects("kubernetes")]
    assert sorted(map(yaml.safe_dump, documents)) == sorted(map(yaml.safe_dump, everything))
    # Kubernetes tells a pod the addresses of the Services that there are when it starts.
    kinds = [(one["kind"], one["metadata"]["name"]) for one in documents]
    first_pod = next(index for index, (kind, _) in enumerate(kinds) if kind == "Deployment")
    services = [index for index, (kind, name) in enumerate(kinds) if kind == "Service" and "discovery" in name]
    others = [index for index, (kind, name) in enumerate(kinds) if kind == "Deployment" and "discovery" not in name]
    assert kinds[first_pod][1].startswith("digital-twin-discovery") and max(services) < min(others)


def test_the_version_is_that_of_the_package() -> None:
    metadata = helm.Chart.load(CHART).metadata
    manifest = (REPOSITORY / "Cargo.toml").read_text()
    assert f'version = "{metadata["appVersion"]}"' in manifest


def test_the_documented_objects_of_a_robot_are_there() -> None:
    rows = table(REPOSITORY / "docs" / "kubernetes.md", "object", "what it is")
    # `-1` stands for the second discovery server.
    names = {name.replace("NAME", "robot1") for cell, _ in rows for name in code(cell) if not name.startswith("-")}
    assert names <= {one["metadata"]["name"] for values in ("kubernetes", "minimal") for one in objects(values)}


def test_the_page_tells_of_every_file_with_values() -> None:
    rows = table(REPOSITORY / "docs" / "kubernetes.md", "values", "for")
    files = {path.name for path in (CHART / "values").iterdir()}
    assert {name.removeprefix("values/") for cell, _ in rows for name in code(cell)} == files
