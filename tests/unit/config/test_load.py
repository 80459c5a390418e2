# SPDX-License-Identifier: GPL-2.0-or-later
"""Whole configurations, those of others among them, and random ones."""

import datetime
import random
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from openswan.base.errors import ConfigError
from openswan.config.authority import Authority
from openswan.config.certfile import CertFiles
from openswan.config.groupfile import SINGLE_SERVICE
from openswan.config.load import load, load_authorities, load_text
from openswan.config.plain import connection_from_plain, connection_to_plain

DATA = Path(__file__).parents[4] / "shared/data/conf"
CONN = "conn {0}\n\tleft=192.0.2.1\n\tright=198.51.100.7\n\tauthby=secret\n\tauto=add\n"


def certificate() -> x509.Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "east")])
    start = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(7).not_valid_before(start).not_valid_after(start + datetime.timedelta(days=9999))
    return builder.sign(key, hashes.SHA256())


@pytest.fixture
def confs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IPSEC_CONFS", str(tmp_path))
    (tmp_path / "ipsec.d/certs").mkdir(parents=True)
    return tmp_path


def test_default_path_and_include(confs: Path) -> None:
    (confs / "ipsec.conf").write_text("include ipsec.d/*.conf\n" + CONN.format("main"))
    (confs / "ipsec.d/one.conf").write_text(CONN.format("one"))
    loaded = load()
    assert [conn.name for conn in loaded.connections] == ["one", "main"] and not loaded.failed
    assert loaded.named("ONE") == loaded.named("one") and loaded.named("none") == ()


def test_missing_file(confs: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load()
    assert str(caught.value) == (
        f"can not load config '{confs}/ipsec.conf': cannot read '{confs}/ipsec.conf': No such file or directory"
    )


def test_root_directory(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/more").write_text(CONN.format("more"))
    (tmp_path / "ipsec.conf").write_text("include /etc/more\n")
    assert [conn.name for conn in load(tmp_path / "ipsec.conf", str(tmp_path)).connections] == ["more"]


def test_certificates(confs: Path) -> None:
    made = certificate()
    (confs / "ipsec.d/certs/east.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (confs / "ipsec.d/certs/east.der").write_bytes(made.public_bytes(Encoding.DER))
    (confs / "ipsec.conf").write_text(
        "conn x\n\tleft=192.0.2.1\n\tright=%any\n\tauto=add\n\tleftcert=east.pem\n\trightcert=east.der\n"
    )
    [conn] = load().connections
    assert conn.left.cert == conn.right.cert == made.public_bytes(Encoding.DER)
    assert conn.left.cert_name == "east.pem"


def test_ca_sections(confs: Path) -> None:
    (confs / "ipsec.d/cacerts").mkdir()
    made = certificate()
    (confs / "ipsec.d/cacerts/lab.pem").write_bytes(made.public_bytes(Encoding.PEM))
    text = "ca lab\n\tcacert=lab.pem\n\tcrluri=http://crl/\n\tauto=add\n\nca bad\n\tcacert=none.pem\n\tauto=add\n"
    (confs / "ipsec.conf").write_text(text)
    loaded = load()
    assert loaded.authorities == (Authority("lab", made.public_bytes(Encoding.DER), ("http://crl/",)),)
    again, complaints = load_authorities(confs / "ipsec.conf")
    assert again == loaded.authorities
    assert [str(one) for one in loaded.complaints] == list(complaints)
    assert f"ca \"bad\": cacert=: cannot read certificate '{confs}/ipsec.d/cacerts/none.pem'" in complaints[0]


def test_group_files(confs: Path) -> None:
    (confs / "ipsec.d/policies").mkdir()
    (confs / "ipsec.d/policies/private").write_text("10/8\nmail.example.org tcp 25\n10.0.0.0/99\n")
    (confs / "ipsec.d/policies/nobody-reads-this").write_text("junk/\n")
    (confs / "ipsec.conf").write_text("config setup\n\toe=yes\n")
    loaded = load()
    groups = dict(loaded.groups)
    assert list(groups) == ["clear", "clear-or-private", "private-or-clear", "private", "block"]
    assert [(str(one.net or one.name), one.protocol) for one in groups["private"]] == [
        ("10.0.0.0/8", 0), ("mail.example.org", 6), ("mail.example.org", 6)
    ]  # fmt: skip
    assert groups["block"] == ()
    assert [str(one) for one in loaded.complaints if "policies/" in str(one)] == [
        f"{confs}/ipsec.d/policies/private:3: '10.0.0.0/99' is not a subnet: mask length over 32; the line is left out "
        "(group private: dropped where no tunnel can be had)",
        f"{confs}/ipsec.d/policies/private:2: {SINGLE_SERVICE}",
    ]


IMPLICIT = ("packetdefault", "clear", "clear-or-private", "private-or-clear", "private", "block")


@pytest.mark.parametrize(
    ("path", "names"),
    [
        ("readwriteconf-06/ipsec.conf", ["base", "vpn", "vpn2"]),
        ("readwriteconf-08/ipsec.conf", ["base", "aes128", "3des_cbc", "sha1", "vpn"]),
        ("readwriteconf-09/ipsec.conf", ["base", "aes128", "aes128-2"]),
        ("readwriteconf-12/gimli.conf", ["jukie--gimli"]),
        ("readwriteconf-13/tygerteam.conf", ["tygerteam--gimli", *IMPLICIT]),
        ("quotes/v2", []),
        ("pairs/empty/v2", []),
        ("pairs/oe-behind/v2", ["private-or-clear-behind"]),
        ("shipped/ipsec.conf.in", []),
        ("shipped/linux-linux.conf.in", ["linux-to-linux"]),
        ("shipped/oe-exclude-dns.conf.in", ["let-my-dns-go"]),
        ("shipped/l2tp-cert.conf.in", []),
        ("shipped/l2tp-psk.conf.in", ["L2TP-PSK-NAT", "L2TP-PSK-noNAT"]),
        ("shipped/mast-l2tp-psk.conf.in", ["L2TP-PSK-NAT", "L2TP-PSK-noNAT"]),
        ("shipped/xauth.conf.in", ["xauthclient"]),
        ("shipped/ipv6.conf.in", []),
    ],
)
def test_files_nobody_here_wrote(path: str, names: list[str]) -> None:
    loaded = load(DATA / path)
    assert [conn.name for conn in loaded.connections] == names
    # Nothing in them is a mystery: no unknown keyword, no line that cannot be read.
    for line in map(str, loaded.complaints):
        assert "unknown keyword" not in line and "is not a parameter" not in line and "section header" not in line


def test_a_file_that_is_named_and_not_there() -> None:
    [note] = load(DATA / "quotes/v2").complaints
    assert "No such file or directory" in str(note) and not note.fatal


def test_connections_survive_the_control_socket() -> None:
    for conn in load(DATA / "readwriteconf-13/tygerteam.conf").connections:
        assert connection_from_plain(connection_to_plain(conn)) == conn


def test_five_hundred_conns(confs: Path) -> None:
    text = "conn %default\n\tauthby=secret\n\tauto=start\n" + "".join(
        f"conn c{n}\n\talso=base\n\tleftsubnet=10.{n // 250}.{n % 250}.0/24\n\trightsubnet=10.9.{n % 250}.0/24\n"
        for n in range(500)
    )
    (confs / "ipsec.conf").write_text(text + "conn base\n\tleft=192.0.2.1\n\tright=198.51.100.7\n\tauto=ignore\n")
    loaded = load()
    # also= and %default both say auto=: the spliced one wins over the default, in all of them.
    assert len(loaded.connections) == 501 and not loaded.failed


def test_random_configurations_only_ever_give_complaints() -> None:
    dice = random.Random(13)
    keys = ["left", "right", "leftsubnet", "rightsubnets", "leftid", "auto", "type", "authby", "ike", "esp", "also",
            "x-y", "leftrsasigkey", "dpddelay", "rekeyfuzz", "leftprotoport", "leftsourceip", "lefft",
            "leftcert"]  # fmt: skip
    values = ["192.0.2.1", "%any", "10.0.0.0/8", "{10.0.0.0/8 2001:db8::/32}", "@a", "start", "never", "secret",
              "aes128", "tcp/80", "0sAQ==", "50%", "1h", '"', "a b", "", "é", "%", "passthrough", "x"]  # fmt: skip
    for _ in range(1500):
        lines = ["conn x"] if dice.random() < 0.9 else []
        lines += [f"\t{dice.choice(keys)}={dice.choice(values)}" for _ in range(dice.randrange(1, 12))]
        loaded = load_text("\n".join(lines), "f", lambda pattern, directory: [], CertFiles("/nowhere").own)
        assert all("\n" not in str(one) and len(str(one)) < 600 for one in loaded.complaints)
        for conn in loaded.connections:
            assert connection_from_plain(connection_to_plain(conn)) == conn


def test_what_cannot_be_loaded_is_known_by_name(confs: Path) -> None:
    conf = confs / "ipsec.conf"
    slip = CONN.format("slip").replace("left", "lefft")
    conf.write_text(CONN.format("whole") + slip + CONN.format("pairs") + "\tleftsubnets={10.1.0.0/16}\n")
    assert load(conf).unusable == {"slip"} and load(conf).connections[1].name.startswith("pairs/")
    conf.write_text(conf.read_text().replace("10.1.0.0/16", "10.1.0.0/77"))
    assert load(conf).unusable == {"slip", "pairs"}
