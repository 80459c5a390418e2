# SPDX-License-Identifier: GPL-2.0-or-later
"""DNSSEC trust anchors of config setup."""

from pathlib import Path

import dns.name

from openswan.host.anchors import load_anchors

ROOT = ". 172800 IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D ; of 2017\n"
OURS = "corp.example. IN DS 4711 13 2 " + "AB" * 32 + "\n"


def test_files_add_up(tmp_path: Path) -> None:
    (tmp_path / "root.key").write_text(ROOT)
    (tmp_path / "more").write_text(ROOT + OURS)
    anchors, complaints = load_anchors((str(tmp_path / "root.key"), "", str(tmp_path / "more")))
    assert complaints == ()
    assert {str(zone): len(keys) for zone, keys in anchors.items()} == {".": 2, "corp.example.": 1}
    assert anchors[dns.name.root][0][0].key_tag == 20326


def test_what_is_no_such_file_is_told_and_the_others_count(tmp_path: Path) -> None:
    (tmp_path / "good").write_text(OURS)
    (tmp_path / "none").write_text("a.example. 60 IN A 192.0.2.1\n")
    (tmp_path / "other").write_text("trust-anchors { . initial-key 257 3 8; };\n")
    names = [str(tmp_path / name) for name in ("good", "none", "other", "absent")]
    anchors, complaints = load_anchors(names)
    assert [str(zone) for zone in anchors] == ["corp.example."]
    assert [name for name in names if any(name in line for line in complaints)] == names[1:]
    assert "neither DS nor DNSKEY records" in complaints[0] and "No such file" in complaints[2]
