# SPDX-License-Identifier: GPL-2.0-or-later
"""ipsec.secrets: every form, every complaint, and no complaint tells a secret."""

import itertools
import random
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509 as library
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)

from openswan.base.errors import ConfigError, HostError
from openswan.config.secrets import SecretKind, SecretStore
from openswan.config.secretsfile import key_reader, load_secrets, p12_passphrases, parse_secrets
from openswan.crypto.rsakey import RsaFields
from openswan.crypto.tokenkey import TokenKey, TokenUri
from openswan.policy.identity import parse_identity

RSA = rsa.generate_private_key(65537, 1024)
ELLIPTIC = ec.generate_private_key(ec.SECP256R1())
LINES = RsaFields.of(RSA).lines()


def nothing(pattern: str, directory: str) -> list[tuple[str, str]]:
    return []


def no_key(name: str) -> bytes:
    raise ConfigError(f"cannot read private key '{name}': No such file or directory")


def read(text: str) -> tuple[SecretStore, tuple[str, ...]]:
    return parse_secrets(text, "s", nothing, no_key)


def one(text: str) -> bytes:
    store, complaints = read(text)
    assert complaints == ()
    [secret] = store.secrets
    assert secret.kind is SecretKind.PSK
    return secret.shared


ME, HIM = parse_identity("192.0.2.1"), parse_identity("198.51.100.7")


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ('192.0.2.1 198.51.100.7 : PSK "a shared phrase"', b"a shared phrase"),
        ('192.0.2.1 198.51.100.7: PSK "x"', b"x"),
        (": PSK 'it \"is\" quoted'", b'it "is" quoted'),
        (': "old style"', b"old style"),
        (": PSK 0x0011_2233", b"\x00\x11\x22\x33"),
        (": psk 0sAQID", b"\x01\x02\x03"),
        (": PSK 0tplain", b"plain"),
        (':PSK "x"', b"x"),
        ('@a\n  @b\n\t: PSK\n # remark\n\n   "x"  # another', b"x"),
        (': PSK "with # inside"', b"with # inside"),
        (': PSK "é"', "é".encode()),
        ('2001:db8::1 ::: PSK "x"', b"x"),
        ('2001:db8::1: PSK "x"', b"x"),
        ('"C=CA, CN=east" : PSK "x"', b"x"),
        ('"C=CA, CN=east": PSK "x"', b"x"),
        (': PSK "x"\r', b"x"),
    ],
)
def test_psk(text: str, want: bytes) -> None:
    if ":::" in text:
        text = text.replace(":::", ":: :")
    assert one(text) == want


def test_indices() -> None:
    store, complaints = read('192.0.2.1 %any6 gw.example.org @lit joe@x "C=CA, CN=*" @#0a : PSK "x"')
    assert complaints == ()
    first, anyone, bare, literal, user, name, key_id = store.secrets[0].indices
    assert first.identity == ME and anyone.any and anyone.version == 6
    assert bare.name == "gw.example.org" and bare.identity is None
    assert [str(one.identity) for one in (literal, user, name, key_id)] == ["@lit", "joe@x", "C=CA, CN=*", "@#0a"]


def test_several_records_and_choice() -> None:
    store, complaints = read('# head\n192.0.2.1 198.51.100.7: PSK "both"\n%any : PSK "any"\n@joe : XAUTH "pass"\n')
    assert complaints == ()
    assert store.psk(ME, HIM) == b"both"
    assert store.psk(ME, parse_identity("@z")) == b"any"
    assert store.psk(None, None, ip_address("192.0.2.1"), ip_address("198.51.100.7")) == b"both"
    assert [secret.kind for secret in store.secrets] == [SecretKind.PSK, SecretKind.PSK, SecretKind.XAUTH]
    assert store.secrets[1].where == "s:3"


def inline(lines: list[str], head: str = ": RSA\t{", tail: str = "\t}") -> str:
    return "\n".join([head, "\t# RSA 1024 bits", *("\t" + line for line in lines), tail])


def test_inline_rsa() -> None:
    for text in (inline(LINES), inline([*LINES, "CKAIDNSS: 0xabcd"]), inline(LINES, "@me : RSA {")):
        store, complaints = read(text)
        assert complaints == ()
        assert store.private_key(parse_identity("@me")) is not None
        [secret] = store.secrets
        assert isinstance(secret.key, rsa.RSAPrivateKey)
        assert secret.key.private_numbers() == RSA.private_numbers()


def changed(field: int, text: str) -> list[str]:
    lines = list(LINES)
    lines[field] = lines[field].split(":")[0] + ": " + text
    return lines


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (inline(LINES[1:]), "Modulus keyword not found where expected in RSA key"),
        (inline(LINES[:-1]), "Coefficient keyword not found where expected in RSA key"),
        (inline([LINES[1], LINES[0], *LINES[2:]]), "Modulus keyword not found where expected in RSA key"),
        (inline(LINES, tail="}"), "malformed end of RSA private key -- indented '}' required"),
        (inline(LINES, tail=""), "malformed end of RSA private key -- indented '}' required"),
        (inline(changed(0, "0xzz")), "Modulus in RSA key: data after 0x is not hexadecimal"),
        (inline(changed(0, "0x" + "ff" * 128)), "n != p * q"),
        (inline(changed(0, "0x11")), "RSA modulus of 5 bits"),
        (inline(changed(1, "0x04")), "RSA public exponent 4 is not usable"),
        (inline(changed(2, "0x05")), "d is not the inverse"),
        (inline(changed(5, "0x05")), "dP != d mod (p-1)"),
        (inline(changed(6, "0x05")), "dQ != d mod (q-1)"),
        (inline(changed(7, "0x05")), "qInv != 1/q mod p"),
        (inline([*LINES, "More: 0x01"]), "RSA key holds more than its fields"),
        ('@a PSK "hunter2"', "a ':' must stand between the indices and the secret"),
        ("@a :", "nothing follows the ':'"),
        (": PSK hunter2", "PSK data malformed: PSK must start with a double-quote or a zero."),
        (": PSK 0xhunter2", "PSK data malformed (data after 0x is not hexadecimal)"),
        (': PSK ""', "PSK data malformed: the secret is empty"),
        (": PSK", "PSK data malformed: one word is wanted"),
        (': PSK "a" "b"', "PSK data malformed: one word is wanted"),
        (': PSK "hunter2', '" without the closing "'),
        (": hunter2", "unrecognized key format: PSK, RSA, ECDSA, XAUTH or EAP is wanted"),
        (": PIN 1234", "a PKCS#11 URI begins with pkcs11:"),
        (": PIN pkcs11:object=x 1234", "keys in tokens are for pluto alone"),
        (": PIN %smartcard1:abc 1234", "with ID in whole hexadecimal octets"),
        (": RSA pkcs11:token=x", "names no key"),
        (": P12", "the name of a key file is wanted"),
        (": RSA", "a key in { } or the name of a key file is wanted"),
        (": RSA a.pem b c", "a key file's name and at most a passphrase are wanted"),
        (": RSA a.pem %prompt", "%prompt is not available; write the passphrase here"),
        (": RSA a.pem", "cannot read private key 'a.pem'"),
        ('"hunter 2" : PSK "x"', "index 1 is no identity"),
        ('@ok %hunter2 : PSK "x"', "index 2 is no identity"),
        ('  @a : PSK "x"', "a record must begin in the first column"),
        ("include", "include wants one file name or pattern"),
        ("include a b", "include wants one file name or pattern"),
        ("include *.none", 'no secrets filename matched "*.none"'),
    ],
    ids=itertools.count(),
)
def test_bad_record_is_skipped_and_the_rest_loads(text: str, why: str) -> None:
    store, complaints = read(f'{text}\n: PSK "rest"\n')
    assert len(complaints) == 1
    assert complaints[0].startswith('"s" line 1: ') and why in complaints[0]
    assert "hunter" not in complaints[0]
    assert [secret.shared for secret in store.secrets] == [b"rest"]


def test_nothing_secret_in_repr() -> None:
    store, _ = read(': PSK "hunter2"\n' + inline(LINES))
    assert "hunter2" not in repr(store)
    assert str(RSA.private_numbers().d) not in repr(store) and LINES[2].split("0x")[1] not in repr(store)


def test_too_many_indices() -> None:
    _, complaints = read("@a " * 5000 + ': PSK "x"')
    assert "more than 4096 indices" in complaints[0]


@pytest.fixture
def confs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("IPSEC_CONFS", str(tmp_path))
    (tmp_path / "ipsec.d/private").mkdir(parents=True)
    write(tmp_path / "ipsec.secrets", ': PSK "x"\n')
    return tmp_path


def write(path: Path, data: str | bytes, mode: int = 0o600) -> None:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    path.chmod(mode)


def test_default_file(confs: Path) -> None:
    store, complaints = load_secrets()
    assert complaints == () and len(store.secrets) == 1


def test_missing_file(confs: Path) -> None:
    (confs / "ipsec.secrets").unlink()
    store, (complaint,) = load_secrets()
    assert store == SecretStore()
    assert complaint.startswith(f"cannot read '{confs}/ipsec.secrets': No such file or directory; put your keys there")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o601])
def test_file_others_can_read_is_refused(confs: Path, mode: int) -> None:
    path = confs / "ipsec.secrets"
    path.chmod(mode)
    store, complaints = load_secrets()
    assert store.secrets == ()
    assert complaints == (f"'{path}' is refused: others can read it (mode {mode:04o}); run: chmod 600 {path}",)


def test_includes(confs: Path) -> None:
    (confs / "sub").mkdir()
    write(confs / "ipsec.secrets", 'include sub/*.secrets\n: PSK "last"\n')
    write(confs / "sub/b.secrets", ': PSK "b"\n')
    write(confs / "sub/a.secrets", 'include c\n: PSK "a"\n')
    write(confs / "sub/c", ': PSK "c"\n')
    write(confs / "sub/open.secrets", ': PSK "open"\n', 0o644)
    store, complaints = load_secrets()
    # One included file that others can read spoils that include, not the rest.
    assert [one.shared for one in store.secrets] == [b"last"]
    assert len(complaints) == 1 and "others can read it" in complaints[0]
    (confs / "sub/open.secrets").unlink()
    store, complaints = load_secrets()
    assert complaints == ()
    assert [one.shared for one in store.secrets] == [b"c", b"a", b"b", b"last"]


def test_include_loop_and_nesting(confs: Path) -> None:
    write(confs / "ipsec.secrets", 'include ipsec.secrets\ninclude n0\n: PSK "x"\n')
    for level in range(12):
        write(confs / f"n{level}", f'include n{level + 1}\n: PSK "{level}"\n')
    store, complaints = load_secrets()
    assert any("includes itself" in line for line in complaints)
    assert any('preshared secrets file "n10" nested too deeply' in line for line in complaints)
    assert len(store.secrets) == 11


def test_key_files(confs: Path) -> None:
    private = confs / "ipsec.d/private"
    write(private / "gw.pem", RSA.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
    write(
        private / "ec.pem",
        ELLIPTIC.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"sesame")),
    )
    write(private / "gw.der", RSA.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))
    write(confs / "elsewhere.pem", (private / "gw.pem").read_bytes())
    write(
        confs / "ipsec.secrets",
        f': RSA gw.pem\n: ECDSA ec.pem "sesame"\n@x : RSA gw.der\n: RSA {confs}/elsewhere.pem\n',
    )
    store, complaints = load_secrets()
    assert complaints == ()
    assert len(store.private_keys) == 4
    assert isinstance(store.private_key(ME, ELLIPTIC.public_key()), ec.EllipticCurvePrivateKey)
    assert isinstance(store.private_key(ME, RSA.public_key()), rsa.RSAPrivateKey)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (": RSA none.pem", "No such file or directory"),
        (': ECDSA ec.pem "hunter2"', "wrong passphrase or damaged file"),
        (": ECDSA ec.pem", "a passphrase is needed"),
        (": RSA junk.pem", "neither PEM nor DER"),
        (": RSA open.pem", "others can read it (mode 0644); run: chmod 600"),
        (": RSA huge.pem", "is larger than 1024 KiB"),
        (": RSA .", "cannot read private key"),
        (": RSA a\0b", "not a file name"),
    ],
)
def test_bad_key_files(confs: Path, line: str, why: str) -> None:
    private = confs / "ipsec.d/private"
    private.chmod(0o700)
    write(private / "ec.pem", ELLIPTIC.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"s")))
    write(private / "junk.pem", "junk")
    write(private / "huge.pem", b"x" * (1 << 20) + b"y")
    write(private / "open.pem", RSA.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o644)
    write(confs / "ipsec.secrets", line + "\n")
    store, complaints = load_secrets()
    assert store.secrets == () and len(complaints) == 1
    assert why in complaints[0] and "hunter2" not in complaints[0]


def test_key_reader_takes_absolute_names(tmp_path: Path) -> None:
    write(tmp_path / "k", b"data")
    assert key_reader("/nowhere")(str(tmp_path / "k")) == b"data"


def test_samples_nobody_here_wrote() -> None:
    samples = Path(__file__).parents[4] / "shared/data/invitro"
    found = 0
    for path in sorted(one for one in samples.rglob("*") if one.is_file() and ".secrets" in str(one)):
        store, complaints = parse_secrets(path.read_text("latin-1"), str(path), nothing, no_key)
        # One key there has 1023 bits, which is refused as too short.
        assert all("RSA modulus of 1023 bits" in line for line in complaints)
        found += len(store.secrets)
    assert found > 3


def test_random_input_only_ever_gives_complaints() -> None:
    dice = random.Random(5)
    words = ["@a", "%any", ":", "PSK", '"', "'", "RSA", "{", "}", "0x", "0sAQ", "include", "x", "\n", "\n ", "\t", "#",
             " ", " ", "Modulus:", "\0", "\udcff", "::1", "C=a", ",", "é"]  # fmt: skip
    for _ in range(4000):
        text = "".join(dice.choices(words, k=dice.randrange(1, 40)))
        store, complaints = read(text)
        assert all("\n" not in line for line in complaints)
        assert len(store.secrets) <= text.count("\n") + 1


def test_every_truncation_of_a_good_file() -> None:
    text = '@a 192.0.2.1 : PSK "some secret"\n' + inline(LINES) + "\n%any : PSK 0x0102\n"
    for size in range(0, len(text), 7):
        read(text[:size])


def test_long_lines() -> None:
    assert one(': PSK "' + "x" * 100_000 + '"') == b"x" * 100_000
    _, complaints = read("x" * 100_000)
    assert len(complaints) == 1 and len(complaints[0]) < 200


def test_users_and_their_passwords() -> None:
    store, complaints = read(
        'joe : EAP "hunter2"\n@ann ann@x : XAUTH "other"\n"@[odd name]" : EAP "third"\n%any : EAP "any"\n'
    )
    assert complaints == ()
    assert [store.password(user) for user in ("joe", "ann", "ann@x", "odd name")] == [
        "hunter2",
        "other",
        "other",
        "third",
    ]
    assert store.password("CORP\\joe") == "hunter2"
    assert store.password("bob") is None and store.password("") is None, "%any names no user"
    assert "hunter2" not in repr(store)


def test_postquantum_keys() -> None:
    store, complaints = read(
        '192.0.2.1 198.51.100.7 : PPKS "one" "first"\n: PPKS "two" 0x3344\n: PPKS "one" "other"\n: PPKS "lonely"\n'
    )
    assert complaints == ('"s" line 4: PPKS: the name of the key and the key are wanted, as in PPKS "name" "secret"',)
    assert store.ppks(ME, HIM) == ((b"one", b"first"), (b"two", b"\x33\x44"))
    assert store.ppks(ME, HIM, ("two", "none", "one")) == ((b"two", b"\x33\x44"), (b"one", b"first"))
    assert dict(store.ppks(ME, parse_identity("@z"))) == {b"one": b"other", b"two": b"\x33\x44"}
    assert store.psk(ME, HIM) is None


def test_pkcs12_files() -> None:
    cert = certificate()
    for line in (': P12 gw.p12 "open"', ': RSA gw.p12 "open"', '@gw : PKCS12 "gw.p12" open'):
        data = bundle(cert, "open")
        store, complaints = parse_secrets(line, "f", lambda pattern, directory: [], lambda name, data=data: data)  # type: ignore[misc]
        assert complaints == ()
        (secret,) = store.secrets
        assert secret.certificates == (cert.public_bytes(Encoding.DER),)
        assert store.private_key(None, secret.certificates[0]) is not None or secret.indices
    _, (complaint,) = parse_secrets(
        ': P12 gw.p12 "wrong"', "f", lambda pattern, directory: [], lambda name: bundle(cert, "open")
    )
    assert "'gw.p12': PKCS#12 file not loaded: wrong passphrase or damaged file" in complaint


KEY = ec.generate_private_key(ec.SECP256R1())


def certificate() -> library.Certificate:
    name = library.Name([library.NameAttribute(library.NameOID.COMMON_NAME, "gw")])
    now = datetime.now(UTC)
    builder = library.CertificateBuilder().subject_name(name).issuer_name(name).public_key(KEY.public_key())
    builder = builder.serial_number(5).not_valid_before(now).not_valid_after(now + timedelta(1))
    return builder.sign(KEY, hashes.SHA256())


def bundle(cert: library.Certificate, passphrase: str) -> bytes:
    return pkcs12.serialize_key_and_certificates(b"gw", KEY, cert, None, BestAvailableEncryption(passphrase.encode()))


def test_keys_in_tokens() -> None:
    asked: list[TokenUri] = []

    def token(uri: TokenUri) -> ec.EllipticCurvePublicKey:
        asked.append(uri)
        if uri.label == "none":
            raise HostError("no private keys in the token fit the URI")
        return KEY.public_key()

    text = """\
: RSA "pkcs11:token=lab;object=gw?module-path=/x.so" "1234"
: PIN pkcs11:object=gw 1234
: PIN %smartcard3@/usr/lib/x.so:0aff "1234"
: PIN %smartcard:45 %pinpad
: ECDSA pkcs11:object=none
"""
    store, (complaint,) = parse_secrets(text, "f", lambda pattern, directory: [], lambda name: b"", token)
    assert [secret.key.uri for secret in store.secrets if isinstance(secret.key, TokenKey)] == [
        TokenUri(token="lab", label="gw", module="/x.so", pin="1234"),
        TokenUri(label="gw", pin="1234"),
        TokenUri(slot=3, module="/usr/lib/x.so", id=b"\x0a\xff", pin="1234"),
        TokenUri(id=b"E"),
    ]
    assert complaint == "\"f\" line 5: 'pkcs11:object=none': no private keys in the token fit the URI"
    assert store.private_key(None, KEY.public_key()) is store.secrets[0].key
    assert "1234" not in repr(store)


def test_passphrases_for_who_wants_certificates_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IPSEC_CONFS", str(tmp_path))
    assert p12_passphrases("gw.p12") == []
    file = tmp_path / "ipsec.secrets"
    file.touch(0o600)
    file.write_text(': P12 gw.p12 "one"\n@x : P12 gw.p12 "two"\n: RSA missing.pem\n: P12 other.p12 "three"\n')
    assert p12_passphrases("gw.p12") == ["one", "two"]
