# SPDX-License-Identifier: GPL-2.0-or-later
"""The Debian package as far as its sources tell; building, installing and using it is `make test-deb`."""

from __future__ import annotations

import datetime
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from openswan import __version__
from openswan.config.load import load
from openswan.config.secretsfile import load_secrets
from openswan.policy.connection import Startup

ROOT = Path(__file__).resolve().parents[1]
DEBIAN = ROOT / "debian"
SAMPLES = ROOT / "initscripts"
EXAMPLES = sorted((SAMPLES / "examples").glob("*.conf"))
FROM_DEBIAN = {"h11"}
"""Libraries that Debian 12 has new enough: the package depends on them."""
SCRIPTS = [DEBIAN / "openswan.prerm", DEBIAN / "openswan.postrm", DEBIAN / "tests/tunnel"]


@pytest.fixture
def confs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An /etc with the certificates that examples name."""
    monkeypatch.setenv("IPSEC_CONFS", str(tmp_path))
    key = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "ipsec.d/certs").mkdir(parents=True)
    for name in ("gateway", "client"):
        subject = x509.Name.from_rfc4514_string(f"CN={name}")
        start = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
        builder = builder.serial_number(1).not_valid_before(start).not_valid_after(start + datetime.timedelta(3650))
        made = builder.sign(key, hashes.SHA256())
        (tmp_path / f"ipsec.d/certs/{name}.pem").write_bytes(made.public_bytes(Encoding.PEM))
    return tmp_path


def requirements(path: Path) -> dict[str, tuple[str, int]]:
    """Name -> (version, how many hashes) of a file of pinned requirements."""
    text = path.read_text().replace("\\\n", " ")
    found = re.findall(r"^([A-Za-z0-9_]+)==(\S+)((?: +--hash=sha256:[0-9a-f]{64})+) *$", text, re.MULTILINE)
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    assert len(found) == len(lines), "every requirement is one version with its hashes"
    return {name.lower(): (version, hashes.count("--hash")) for name, version, hashes in found}


def test_versions_are_one() -> None:
    assert (DEBIAN / "changelog").read_text().startswith(f"openswan ({__version__}) ")


def test_what_debian_lacks_is_carried() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = {re.split(r"[>=<]", each)[0].lower(): each for each in project["project"]["dependencies"]}
    carried = requirements(DEBIAN / "carried.txt")
    assert wanted.keys() - FROM_DEBIAN <= carried.keys()
    for name, requirement in wanted.items():
        if name in carried:
            least = tuple(map(int, requirement.partition(">=")[2].split(".")))
            assert tuple(int(part) for part in carried[name][0].split("."))[: len(least)] >= least
    control = (DEBIAN / "control").read_text()
    assert all(f" python3-{name},\n" in control for name in FROM_DEBIAN)
    tools = requirements(DEBIAN / "tools.txt")
    assert tools.keys() == {"cython", "setuptools"}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_clean(script: Path) -> None:
    done = subprocess.run(["shellcheck", "-s", "sh", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "set -e" in script.read_text()


def test_what_is_installed_does_nothing_by_itself(confs: Path) -> None:
    loaded = load(SAMPLES / "ipsec.conf")
    assert not loaded.complaints and not loaded.connections and not loaded.setup.oe
    secrets = confs / "ipsec.secrets"
    secrets.touch(mode=0o600)
    secrets.write_text((SAMPLES / "ipsec.secrets").read_text())
    assert not load_secrets(secrets)[1]
    groups = sorted((SAMPLES / "policies").iterdir())
    assert [path.name for path in groups] == ["block", "clear", "clear-or-private", "private", "private-or-clear"]
    for path in groups:
        assert all(line.startswith("#") for line in path.read_text().splitlines()), path


def test_eight_lines_make_a_tunnel(confs: Path) -> None:
    """Seven of the sample lose their #; the secret is the eighth."""
    text = (SAMPLES / "ipsec.conf").read_text()
    edited, count = re.subn(r"^#(?=conn |\t)", "", text, flags=re.MULTILINE)
    assert count == 7
    (confs / "ipsec.conf").write_text(edited)
    loaded = load()
    assert not loaded.complaints
    [connection] = loaded.connections
    assert connection.startup is Startup.START


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_load_without_a_word(path: Path, confs: Path) -> None:
    (confs / "ipsec.d/policies").mkdir()
    (confs / "ipsec.d/policies/our-lan").write_text("10.0.0.0/24\n")
    loaded = load(path)
    assert [str(each) for each in loaded.complaints] == []
    assert loaded.connections and all(each.startup is not Startup.IGNORE for each in loaded.connections)


def test_all_of_initscripts_is_in_the_package() -> None:
    told = (DEBIAN / "openswan.install").read_text() + (DEBIAN / "rules").read_text()
    for path in SAMPLES.iterdir():
        assert f"initscripts/{path.name}" in told, path
    assert len(EXAMPLES) >= 8
