"""Who signs: what a user gives is found good or bad before any work."""

from __future__ import annotations

import logging
import os
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from lipgan_cli.engine.errors import InputError, LipganError
from lipgan_cli.engine.provenance import library
from lipgan_cli.engine.provenance.authority import own_authority
from lipgan_cli.engine.provenance.identity import choose_identity

DAY = timedelta(days=1)


def test_without_a_certificate_the_machine_signs():
    identity = choose_identity()
    assert identity.own
    assert identity.algorithm == "es256"
    assert identity.notes == ()
    assert own_authority() not in identity.chain


def test_a_pair_of_the_users(issue, home):
    issued = issue()
    identity = choose_identity(issued.certificate, issued.key)
    assert (identity.own, identity.name, identity.notes) == (False, "Anna", ())
    assert not (home / "identity").exists()


def test_a_pair_of_the_environment(issue, monkeypatch):
    issued = issue()
    monkeypatch.setenv("LIPGAN_SIGN_CERT", str(issued.certificate))
    monkeypatch.setenv("LIPGAN_SIGN_KEY", str(issued.key))
    assert choose_identity().name == "Anna"
    other = issue(name="Bo")
    assert choose_identity(other.certificate, other.key).name == "Bo"


@pytest.mark.parametrize("given", ["certificate", "key"])
def test_half_a_pair(issue, given):
    issued = issue()
    pair = {"certificate": None, "key": None, given: getattr(issued, given)}
    missing = "key" if given == "certificate" else "certificate"
    with pytest.raises(InputError, match=f"the {missing} to sign with is not given"):
        choose_identity(**pair)


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (ec.generate_private_key(ec.SECP384R1()), "es384"),
        (ec.generate_private_key(ec.SECP521R1()), "es512"),
        (ed25519.Ed25519PrivateKey.generate(), "ed25519"),
        (rsa.generate_private_key(65537, 2048), "ps256"),
    ],
    ids=["P-384", "P-521", "Ed25519", "RSA"],
)
def test_every_kind_of_key_that_c2pa_knows(issue, key, algorithm):
    assert issue(key=key).identity().algorithm == algorithm


@pytest.mark.parametrize(
    ("key", "told"),
    [
        (rsa.generate_private_key(65537, 1024), "1024 bits"),
        (ec.generate_private_key(ec.SECP256K1()), "secp256k1"),
        (dsa.generate_private_key(1024), "cannot sign"),
    ],
    ids=["short RSA", "another curve", "DSA"],
)
def test_keys_that_c2pa_does_not_know(issue, tmp_path, write_private, key, told):
    path = tmp_path / "other.key"
    path.write_bytes(write_private(key))
    with pytest.raises(InputError, match=told) as caught:
        choose_identity(issue().certificate, path)
    assert "P-256" in caught.value.hint


@pytest.mark.parametrize(
    ("begins", "told"), [(-20 * DAY, "expired on"), (DAY, "is valid from")], ids=["old", "new"]
)
def test_a_certificate_out_of_its_time(issue, begins, told):
    with pytest.raises(InputError, match=told):
        issue(begins=begins).identity()


def test_a_key_of_another_certificate(issue):
    one, other = issue(), issue()
    with pytest.raises(InputError, match="is not the key of the certificate"):
        choose_identity(one.certificate, other.key)


def test_an_encrypted_key(issue, tmp_path, write_private):
    path = tmp_path / "hidden.key"
    path.write_bytes(write_private(ec.generate_private_key(ec.SECP256R1()), b"secret"))
    with pytest.raises(InputError, match="is encrypted") as caught:
        choose_identity(issue().certificate, path)
    assert "openssl pkey" in caught.value.hint


@pytest.mark.parametrize("content", [b"hello", b"\x30\x82\x01\x0a"])
def test_what_is_no_pem(issue, tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(InputError, match="holds no certificate in PEM"):
        choose_identity(path, issue().key)
    with pytest.raises(InputError, match="holds no private key in PEM"):
        choose_identity(issue().certificate, path)


@pytest.mark.parametrize("missing", ["certificate", "key"])
def test_what_is_not_there(issue, tmp_path, missing):
    issued = issue()
    pair = {"certificate": issued.certificate, "key": issued.key, missing: tmp_path / "none.pem"}
    with pytest.raises(InputError, match=f"the {missing} file .* does not exist"):
        choose_identity(**pair)


def test_a_certificate_of_an_authority(issue):
    with pytest.raises(InputError, match="is an authority's, which cannot sign a film"):
        issue(ca=True).identity()


@pytest.mark.parametrize("usages", [(), (ExtendedKeyUsageOID.SERVER_AUTH,)], ids=["none", "web"])
def test_a_certificate_for_something_else(issue, usages):
    with pytest.raises(InputError, match="cannot sign for C2PA") as caught:
        issue(usages=usages).identity()
    assert "extended key usage" in caught.value.hint


@pytest.mark.parametrize("usage", library.EXTENDED_KEY_USAGES)
def test_every_purpose_that_c2pa_names(issue, usage):
    assert issue(usages=[ObjectIdentifier(usage)]).identity().name == "Anna"


def test_the_chain_goes_from_the_signer_upwards(issue, tmp_path):
    issued = issue()
    certificate, authority = issued.certificate.read_bytes(), issued.authority.read_bytes()
    both = tmp_path / "chain.pem"
    both.write_bytes(certificate + authority)
    chain = choose_identity(both, issued.key).chain
    assert x509.load_pem_x509_certificates(chain.encode()) == [issued.leaf]  # no root
    both.write_bytes(authority + certificate)
    with pytest.raises(InputError, match="is not the key") as caught:
        choose_identity(both, issued.key)
    assert "signer's certificate first" in caught.value.hint
    both.write_bytes(certificate + issue().authority.read_bytes())
    with pytest.raises(InputError, match="was not issued by"):
        choose_identity(both, issued.key)


def test_a_binary_certificate_is_told_how_to_be_converted(issue, tmp_path):
    path = tmp_path / "binary.cer"
    path.write_bytes(issue().leaf.public_bytes(Encoding.DER))
    with pytest.raises(InputError) as caught:
        choose_identity(path, issue().key)
    assert "openssl x509 -inform DER" in caught.value.hint


@pytest.mark.skipif(os.name == "nt", reason="Windows keeps no such permissions")
def test_a_key_that_others_can_read_is_told(issue):
    issued = issue()
    issued.key.chmod(0o644)
    (note,) = choose_identity(issued.certificate, issued.key).notes
    assert note.startswith("other users of this machine can read the key")


def test_keys_are_never_shown(issue, caplog):
    caplog.set_level(logging.DEBUG)
    for identity in (choose_identity(), issue().identity()):
        secret = identity.key.splitlines()[1]
        assert "PRIVATE" in identity.key
        assert secret not in repr(identity)
        assert secret not in caplog.text


def test_a_library_that_does_not_load_is_told(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "c2pa", None)
    with pytest.raises(LipganError, match="C2PA library cannot be loaded"):
        choose_identity()
