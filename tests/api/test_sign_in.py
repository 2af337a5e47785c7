"""From a credential to an actor: keys and tokens, what is remembered, and what is refused."""

from __future__ import annotations

import asyncio
import hmac
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.utils import base64url_encode
from pydantic import SecretStr

from app.core.clock import Clock
from app.core.errors import Unavailable
from app.core.permissions import Actor, ActorKind, Permission, Role
from app.core.settings import AuthSettings
from app.database import Database
from app.schemas.api_keys import KeyScope, NewApiKey, Rotation
from app.schemas.users import NewGrant, NewUser, UserChanges
from app.services.api_keys import ApiKeyService
from app.services.identity_tokens import HTTPKeySets, IdentityTokens
from app.services.sign_in import SignInService, TooManyRefusals, Unauthenticated
from app.services.users import UserService

SECRET: Final = SecretStr("a secret of the tests, long enough to be one")
HERE: Final = "192.0.2.1"
PROVIDER: Final = "https://identity.example"


LOCAL_KEY: Final = "local_key_of_a_server_on_this_machine"


class ManualClock:
    """Stands still until it is told to go on."""

    def __init__(self) -> None:
        self.passed_s = 0.0

    def now(self) -> datetime:
        return datetime(2026, 3, 1, 12, 0, tzinfo=UTC) + timedelta(seconds=self.passed_s)

    def monotonic(self) -> float:
        return 1_000.0 + self.passed_s


@dataclass
class Desk:
    """Users, keys and sign-in over one database and one clock."""

    database: Database
    clock: ManualClock
    actor: Actor
    users: UserService = field(init=False)
    keys: ApiKeyService = field(init=False)

    def __post_init__(self) -> None:
        self.users = UserService(self.database, self.clock)
        self.keys = ApiKeyService(self.database, self.clock, SECRET)

    async def user(self, name: str, *roles: Role, external_id: str | None = None) -> None:
        await self.users.create(self.actor, NewUser(name=name, external_id=external_id))
        for role in roles:
            await self.users.grant(self.actor, name, NewGrant(role=role))

    async def key(self, name: str, **options: Any) -> str:
        return (await self.keys.create(self.actor, NewApiKey(name=name, **options))).secret


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def desk(database: Database, clock: ManualClock, actor: Actor) -> Desk:
    return Desk(database, clock, actor)


@pytest.fixture
async def sign_in(database: Database, clock: ManualClock) -> AsyncIterator[SignInService]:
    service = SignInService(database, clock, SECRET)
    yield service
    await service.close()


async def refusal(sign_in: SignInService, credential: str | None, client: str = HERE) -> str:
    with pytest.raises(Unauthenticated) as caught:
        await sign_in.actor(credential, client=client)
    return caught.value.reason


async def test_a_persons_key_acts_as_that_person_with_their_roles(
    desk: Desk, sign_in: SignInService
) -> None:
    await desk.user("ana", Role.VIEWER)
    actor = await sign_in.actor(await desk.key("laptop", user="ana"), client=HERE)
    assert str(actor) == "user:ana"
    assert actor.authenticated
    assert actor.may(Permission.PROMPT_READ)
    assert not actor.may(Permission.PROMPT_WRITE)
    assert actor.credential is not None
    assert (actor.credential.key, actor.credential.is_scoped) == ("laptop", False)


async def test_a_services_key_may_do_what_its_scope_names(
    desk: Desk, sign_in: SignInService
) -> None:
    scope = KeyScope(
        permissions=frozenset({Permission.CHAT_WRITE}),
        prefix="payments/",
        aliases=frozenset({"payments/bot@production"}),
    )
    actor = await sign_in.actor(await desk.key("bot", is_service=True, scope=scope), client=HERE)
    assert str(actor) == "key:bot"
    assert actor.permissions == {Permission.CHAT_WRITE}
    assert actor.may(Permission.CHAT_WRITE, "payments/bot")
    assert not actor.may(Permission.CHAT_WRITE, "support/bot")
    assert actor.may_use_alias("payments/bot@production")
    assert not actor.may_use_alias("payments/bot@staging")


async def test_a_rotated_key_acts_under_the_same_name_and_the_old_one_for_the_grace(
    desk: Desk, sign_in: SignInService, clock: ManualClock
) -> None:
    old = await desk.key("bot", is_service=True)
    new = (await desk.keys.rotate(desk.actor, "bot", Rotation(grace_hours=1))).secret
    names = [str(await sign_in.actor(key, client=HERE)) for key in (old, new)]
    assert names == ["key:bot", "key:bot"]
    clock.passed_s = 3_600
    assert await refusal(sign_in, old) == "expired"
    assert str(await sign_in.actor(new, client=HERE)) == "key:bot"


async def test_a_key_expires_also_while_it_is_remembered(
    desk: Desk, sign_in: SignInService, clock: ManualClock
) -> None:
    await desk.user("ana", Role.VIEWER)
    key = await desk.key("laptop", user="ana", lifetime_days=1)
    clock.passed_s = 86_399
    await sign_in.actor(key, client=HERE)
    clock.passed_s = 86_400
    assert await refusal(sign_in, key) == "expired"


@pytest.mark.parametrize("kept_busy", [False, True])
async def test_what_is_taken_away_has_no_effect_after_five_seconds(
    desk: Desk, sign_in: SignInService, clock: ManualClock, kept_busy: bool
) -> None:
    await desk.user("ana", Role.VIEWER, Role.RESEARCHER)
    await desk.user("bo", Role.VIEWER)
    demoted, revoked, deactivated = (
        await desk.key("demoted", user="ana"),
        await desk.key("revoked", user="ana"),
        await desk.key("deactivated", user="bo"),
    )
    for key in (demoted, revoked, deactivated):
        await sign_in.actor(key, client=HERE)
    await desk.users.take_back(desk.actor, "ana", NewGrant(role=Role.RESEARCHER))
    await desk.keys.revoke(desk.actor, "revoked")
    await desk.users.deactivate(desk.actor, "bo")
    if kept_busy:  # each use may have it read again, and none may prolong it
        clock.passed_s = 3
        for key in (demoted, revoked, deactivated):
            await sign_in.actor(key, client=HERE)
    clock.passed_s = 5
    assert not (await sign_in.actor(demoted, client=HERE)).may(Permission.PROMPT_WRITE)
    assert await refusal(sign_in, revoked) == "revoked"
    assert await refusal(sign_in, deactivated) == "deactivated"


async def test_who_is_reactivated_signs_in_with_the_same_key(
    desk: Desk, sign_in: SignInService
) -> None:
    await desk.user("ana", Role.VIEWER)
    key = await desk.key("laptop", user="ana")
    await desk.users.deactivate(desk.actor, "ana")
    assert await refusal(sign_in, key) == "deactivated"
    await desk.users.reactivate(desk.actor, "ana")
    assert str(await sign_in.actor(key, client=HERE)) == "user:ana"


async def test_unknown_and_forged_keys_get_the_same_sentence(
    desk: Desk, sign_in: SignInService
) -> None:
    key = await desk.key("bot", is_service=True)
    forged = key[:-5] + "AAAAA"
    unknown = "wb_" + "a" * 12 + "_" + "A" * 43
    sentences = set()
    for number, credential in enumerate((None, forged, unknown, "nonsense", "é", "x" * 9_000)):
        with pytest.raises(Unauthenticated) as caught:
            await sign_in.actor(credential, client=f"192.0.2.{number}")
        sentences.add(caught.value.message)
    assert len(sentences) == 1


async def test_a_key_of_another_servers_secret_is_unknown(
    desk: Desk, database: Database, clock: ManualClock
) -> None:
    key = await desk.key("bot", is_service=True)
    other = SignInService(database, clock, SecretStr("another secret of another server....."))
    assert await refusal(other, key) == "unknown"


async def test_after_five_wrong_credentials_in_a_minute_an_address_waits(
    desk: Desk, sign_in: SignInService, clock: ManualClock
) -> None:
    for _ in range(5):
        await refusal(sign_in, "nonsense")
        clock.passed_s += 1
    with pytest.raises(TooManyRefusals) as caught:
        await sign_in.actor("nonsense", client=HERE)
    assert caught.value.wait_s == 55
    assert await refusal(sign_in, "nonsense", client="192.0.2.9") == "malformed"
    clock.passed_s += caught.value.wait_s
    with pytest.raises(Unauthenticated) as allowed:
        await sign_in.actor("nonsense", client=HERE)
    assert not isinstance(allowed.value, TooManyRefusals)


async def test_a_right_key_is_answered_from_an_address_that_waits(
    desk: Desk, sign_in: SignInService
) -> None:
    """Behind one proxy a client with an old key must not lock the others out."""
    key = await desk.key("bot", is_service=True)
    for _ in range(9):
        await refusal(sign_in, "nonsense")
    assert str(await sign_in.actor(key, client=HERE)) == "key:bot"


async def test_last_use_is_noted_at_most_once_a_minute(
    desk: Desk, database: Database, clock: ManualClock
) -> None:
    key = await desk.key("bot", is_service=True)
    noted = []
    for passed_s in (10, 20, 80):
        clock.passed_s = passed_s
        sign_in = SignInService(database, clock, SECRET)  # as a server that was started anew
        await sign_in.actor(key, client=HERE)
        await sign_in.close()
        last_used_at = (await desk.keys.get(desk.actor, "bot")).last_used_at
        assert last_used_at is not None
        noted.append(last_used_at.second + 60 * last_used_at.minute)
    assert noted == [10, 10, 80]


async def test_many_requests_with_one_key_ask_the_database_once(
    desk: Desk, sign_in: SignInService
) -> None:
    key = await desk.key("bot", is_service=True)
    actors = await asyncio.gather(*(sign_in.actor(key, client=HERE) for _ in range(50)))
    assert len({id(actor) for actor in actors}) == 1


async def test_a_database_that_is_down_is_no_refusal(clock: ManualClock) -> None:
    down = Database("postgresql+asyncpg://nobody@127.0.0.1:1/none")
    sign_in = SignInService(down, clock, SECRET)
    for _ in range(7):
        with pytest.raises((Unavailable, OSError)):
            await sign_in.actor("wb_" + "a" * 12 + "_" + "A" * 43, client=HERE)
    await down.close()


# Tokens of an identity provider. ----------------------------------------------------------------


@dataclass
class Provider:
    """An identity provider on loopback: publishes keys, and signs."""

    url: str = ""
    status: int = 200
    fetches: int = 0
    body: bytes | None = None
    keys: dict[str, tuple[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.keys = {
            "rsa": ("RS256", rsa.generate_private_key(65537, 2048)),
            "ec": ("ES256", ec.generate_private_key(ec.SECP256R1())),
            "ed": ("EdDSA", ed25519.Ed25519PrivateKey.generate()),
        }

    async def publish(self, _request: web.Request) -> web.Response:
        self.fetches += 1
        if self.status == 302:
            raise web.HTTPFound("/elsewhere")
        return web.Response(status=self.status, body=self.body or self.published())

    def published(self) -> bytes:
        keys = [
            {**algorithm_of(name).to_jwk(private.public_key(), as_dict=True), "kid": kid}
            for kid, (name, private) in self.keys.items()
        ]
        return json.dumps({"keys": keys}).encode()

    def token(self, kid: str, now: datetime, **changes: Any) -> str:
        algorithm, private = self.keys[kid]
        claims = {
            "iss": PROVIDER,
            "aud": "workbench",
            "sub": "idp|ana",
            "exp": now + timedelta(minutes=10),
            **changes,
        }
        given = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(given, private, algorithm, headers={"kid": kid})


def hand_made(header: Mapping[str, object], now: datetime, secret: bytes | None) -> str:
    """Return a token as an attacker makes it: signed with a shared secret, or not at all."""
    expires_at = int(now.timestamp()) + 600
    claims = {"iss": PROVIDER, "aud": "workbench", "sub": "idp|ana", "exp": expires_at}
    parts = [base64url_encode(json.dumps(part).encode()) for part in (header, claims)]
    signed = b".".join(parts)
    digest = b"" if secret is None else hmac.digest(secret, signed, "sha256")
    return b".".join((signed, base64url_encode(digest))).decode()


def algorithm_of(name: str) -> Any:
    return jwt.get_algorithm_by_name(name)


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    provider = Provider()
    application = web.Application()
    application.router.add_get("/keys", provider.publish)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    provider.url = f"http://127.0.0.1:{port}/keys"
    yield provider
    await runner.cleanup()


@pytest.fixture
async def federated(
    database: Database, clock: ManualClock, provider: Provider, desk: Desk
) -> AsyncIterator[SignInService]:
    """Sign-in with tokens of the provider, and a viewer whom it calls `idp|ana`."""
    await desk.user("ana", Role.VIEWER, external_id="idp|ana")
    service = SignInService(database, clock, SECRET, tokens_of(provider, clock))
    yield service
    await service.close()


def tokens_of(provider: Provider, clock: Clock) -> IdentityTokens:
    settings = AuthSettings(jwks_url=provider.url, issuer=PROVIDER, audience="workbench")
    return IdentityTokens(settings, HTTPKeySets(provider.url), clock)


class TestTokens:
    """What the tokens of an identity provider must be like. One kind of database is enough."""

    @pytest.fixture
    def database_kind(self) -> str:
        return "sqlite"

    @pytest.mark.parametrize("kid", ["rsa", "ec", "ed"])
    async def test_a_token_signs_in_the_user_whom_it_names(
        self, federated: SignInService, provider: Provider, clock: ManualClock, kid: str
    ) -> None:
        actor = await federated.actor(provider.token(kid, clock.now()), client=HERE)
        assert (actor.kind, actor.name) == (ActorKind.USER, "ana")
        assert actor.may(Permission.PROMPT_READ)
        assert actor.credential is None

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"iss": "https://other.example"}, "InvalidIssuerError"),
            ({"aud": "another"}, "InvalidAudienceError"),
            ({"iss": None}, "MissingRequiredClaimError"),
            ({"aud": None}, "MissingRequiredClaimError"),
            ({"exp": None}, "MissingRequiredClaimError"),
            ({"sub": None}, "MissingRequiredClaimError"),
            ({"sub": ""}, "subject"),
            ({"sub": "idp|nobody"}, "unknown_user"),
            ({"exp": 1e400}, "malformed_time"),
            ({"nbf": "soon"}, "malformed_time"),
        ],
    )
    async def test_a_token_that_says_something_else_is_refused(
        self,
        federated: SignInService,
        provider: Provider,
        clock: ManualClock,
        changes: dict[str, Any],
        reason: str,
    ) -> None:
        token = provider.token("ec", clock.now(), **changes)
        assert await refusal(federated, token) == reason

    @pytest.mark.parametrize(
        ("claim", "off_s", "reason"),
        [
            ("exp", -59, None),
            ("exp", -60, "expired"),
            ("nbf", 60, None),
            ("nbf", 61, "not_yet_valid"),
            ("iat", 60, None),
            ("iat", 61, "not_yet_valid"),
        ],
    )
    async def test_clocks_may_differ_by_a_minute(
        self,
        federated: SignInService,
        provider: Provider,
        clock: ManualClock,
        claim: str,
        off_s: int,
        reason: str | None,
    ) -> None:
        at = clock.now() + timedelta(seconds=off_s)
        token = provider.token("ec", clock.now(), **{claim: at})
        if reason is None:
            assert (await federated.actor(token, client=HERE)).name == "ana"
        else:
            assert await refusal(federated, token) == reason

    async def test_a_token_expires_also_while_it_is_remembered(
        self, federated: SignInService, provider: Provider, clock: ManualClock
    ) -> None:
        token = provider.token("ec", clock.now(), exp=clock.now())
        await federated.actor(token, client=HERE)
        clock.passed_s = 59
        await federated.actor(token, client=HERE)
        clock.passed_s = 60
        assert await refusal(federated, token) == "expired"

    async def test_a_token_signed_by_somebody_else_is_refused(
        self, federated: SignInService, provider: Provider, clock: ManualClock
    ) -> None:
        forger = Provider()
        assert await refusal(federated, forger.token("ec", clock.now())) == "InvalidSignatureError"

    @pytest.mark.parametrize("kid", ["rsa", "ec", "ed"])
    async def test_a_public_key_is_no_shared_secret(
        self, federated: SignInService, provider: Provider, clock: ManualClock, kid: str
    ) -> None:
        public = provider.keys[kid][1].public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        token = hand_made({"alg": "HS256", "kid": kid}, clock.now(), pem)
        assert await refusal(federated, token) == "algorithm"

    @pytest.mark.parametrize("algorithm", ["none", "HS256", "", ["ES256"], {}, 5])
    async def test_a_token_without_signature_is_refused(
        self, federated: SignInService, clock: ManualClock, algorithm: object
    ) -> None:
        token = hand_made({"alg": algorithm, "kid": "ec"}, clock.now(), None)
        assert await refusal(federated, token) in ("algorithm", "malformed")

    async def test_an_algorithm_takes_only_its_own_kind_of_key(
        self, federated: SignInService, provider: Provider, clock: ManualClock
    ) -> None:
        token = provider.token("ec", clock.now())
        header, rest = token.split(".", 1)
        mixed = base64url_encode(b'{"alg":"RS256","kid":"ec"}').decode()
        assert header != mixed
        assert await refusal(federated, f"{mixed}.{rest}") == "algorithm"

    async def test_a_new_key_of_the_provider_is_fetched_at_most_once_a_minute(
        self, federated: SignInService, provider: Provider, clock: ManualClock
    ) -> None:
        await federated.actor(provider.token("ec", clock.now()), client=HERE)
        provider.keys["new"] = ("ES256", ec.generate_private_key(ec.SECP256R1()))
        token = provider.token("new", clock.now())
        assert await refusal(federated, token) == "unknown_signing_key"
        assert provider.fetches == 1
        clock.passed_s = 60
        assert (await federated.actor(token, client=HERE)).name == "ana"
        assert provider.fetches == 2

    async def test_keys_are_fetched_anew_after_ten_minutes(
        self, federated: SignInService, provider: Provider, clock: ManualClock
    ) -> None:
        for minutes, fetches in ((0, 1), (9, 1), (10, 2)):
            clock.passed_s = minutes * 60
            await federated.actor(provider.token("ec", clock.now()), client=HERE)
            assert provider.fetches == fetches

    async def test_known_keys_hold_while_the_provider_is_down(
        self, federated: SignInService, provider: Provider, clock: ManualClock
    ) -> None:
        await federated.actor(provider.token("ec", clock.now()), client=HERE)
        provider.status = 500
        clock.passed_s = 900
        token = provider.token("ec", clock.now())
        assert (await federated.actor(token, client=HERE)).name == "ana"

    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (500, None),
            (302, None),
            (200, b"no json"),
            (200, b"[]"),
            (200, b'{"keys": 5}'),
            (200, b" " * 300_000),
        ],
    )
    async def test_without_any_key_nobody_can_be_told_and_nobody_is_refused(
        self,
        federated: SignInService,
        provider: Provider,
        clock: ManualClock,
        status: int,
        body: bytes | None,
    ) -> None:
        provider.status, provider.body = status, body
        for _ in range(7):
            with pytest.raises(Unavailable):
                await federated.actor(provider.token("ec", clock.now()), client=HERE)
        assert provider.fetches == 1
        provider.status, provider.body = 200, None
        clock.passed_s = 5
        token = provider.token("ec", clock.now())
        assert (await federated.actor(token, client=HERE)).name == "ana"

    async def test_keys_that_cannot_be_used_are_left_out(
        self, federated: SignInService, provider: Provider, clock: ManualClock
    ) -> None:
        published = json.loads(provider.published())
        odd: list[object] = [7, {}, {"kty": "oct", "k": "AAAA", "kid": "x"}, {"kty": "EC"}]
        encrypting = {**published["keys"][0], "use": "enc", "kid": "enc"}
        provider.body = json.dumps({"keys": [*odd, encrypting, *published["keys"]]}).encode()
        token = provider.token("ec", clock.now())
        assert (await federated.actor(token, client=HERE)).name == "ana"

    async def test_who_lost_their_external_id_signs_in_no_longer(
        self, federated: SignInService, provider: Provider, clock: ManualClock, desk: Desk
    ) -> None:
        token = provider.token("ec", clock.now())
        await federated.actor(token, client=HERE)
        await desk.users.change(desk.actor, "ana", UserChanges(external_id=None))
        clock.passed_s = 5
        assert await refusal(federated, token) == "unknown_user"

    async def test_without_an_identity_provider_no_token_signs_in(
        self, sign_in: SignInService, provider: Provider, clock: ManualClock
    ) -> None:
        assert await refusal(sign_in, provider.token("ec", clock.now())) == "malformed"


class TestLocalKey:
    """The key that a server on somebody's own machine makes for them at its start."""

    @pytest.fixture
    async def local(self, database: Database, clock: ManualClock) -> AsyncIterator[SignInService]:
        service = SignInService(database, clock, SECRET, local_key=SecretStr(LOCAL_KEY))
        yield service
        await service.close()

    async def test_it_stands_for_who_started_the_server(self, local: SignInService) -> None:
        actor = await local.actor(LOCAL_KEY, client=HERE)
        assert (actor.kind, actor.authenticated) == (ActorKind.LOCAL, False)
        assert actor.may(Permission.PROMPT_WRITE)

    @pytest.mark.parametrize("near", [LOCAL_KEY[:-1], LOCAL_KEY + "a", LOCAL_KEY.upper(), "local"])
    async def test_nothing_but_it_does(self, local: SignInService, near: str) -> None:
        assert await refusal(local, near) == "malformed"

    async def test_a_server_that_made_none_takes_none(self, sign_in: SignInService) -> None:
        assert await refusal(sign_in, LOCAL_KEY) == "malformed"

    async def test_peoples_keys_go_on_working(self, local: SignInService, desk: Desk) -> None:
        await desk.user("ana", Role.VIEWER)
        actor = await local.actor(await desk.key("laptop", user="ana"), client=HERE)
        assert str(actor) == "user:ana"
