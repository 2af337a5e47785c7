"""What the fake provider replies to a request: routing, refusals, faults, and the ledger.

No socket and no waiting in here: `Provider.handle` turns a request into a `Handled`, and the
server decides when to play it. The order in which a chat call meets obstacles is that of a real
provider: the body has to be readable, then the fault script speaks (a busy provider looks at
nothing else), then come the model, the parameters, and at last the answer.

Control paths, which are never on the ledger: `GET /_ledger` (counts), `GET /_ledger/calls` (the
calls), `POST /_reset` (forget them, and begin the script again), `POST /_script` (a new script).
"""

from typing import NamedTuple
from urllib.parse import unquote

from tests.fake_provider.answers import BadRequest, Chat, answer_chat, read_chat
from tests.fake_provider.catalogue import (
    model_digest,
    ollama_description,
    ollama_model,
    openai_model,
    requested_model,
)
from tests.fake_provider.dialects import Dialect, ErrorBody, Ollama, OpenAI, Reported
from tests.fake_provider.faults import Fault, FaultScript
from tests.fake_provider.hashing import hash_text
from tests.fake_provider.http1 import Request
from tests.fake_provider.ledger import Call, Ledger
from tests.fake_provider.misbehaviour import (
    MAX_TOKENS_REFUSED,
    TEMPERATURE_REFUSED,
    TOP_P_WITH_TEMPERATURE_REFUSED,
    Exchange,
    error_reply,
    faulty_reply,
    good_reply,
    model_not_found,
)
from tests.fake_provider.options import ProviderOptions
from tests.fake_provider.replies import Reply, json_reply

__all__ = ["Handled", "Provider"]

_MODEL_PATH = "/v1/models/"


class Handled(NamedTuple):
    """A reply; with the call it belongs to if the request was one, which is then to be delayed."""

    reply: Reply
    call: Call | None = None


class Provider:
    """The state of one fake provider: its options, its script and its ledger."""

    def __init__(self, options: ProviderOptions, ledger: Ledger) -> None:
        self._options = options
        self._answer = options.answer_rule()
        self._interval_s = options.stream_interval_ms / 1000
        self._chat_paths: dict[str, Dialect] = {
            "/v1/chat/completions": OpenAI(),
            "/api/chat": Ollama(),
        }
        self.ledger = ledger
        self.set_script(options.script)

    def set_script(self, script: FaultScript) -> None:
        """Follow another script from the next call on, from the beginning of its sequence."""
        self._script = script
        self._begin_script()

    def reset(self) -> None:
        """Forget all calls and attempts, and begin the script again."""
        self.ledger.reset()
        self._begin_script()

    def _begin_script(self) -> None:
        self._arrivals = 0
        self._resets_left = self._script.reset_connections

    def refuses_connection(self) -> bool:
        """Say whether the connection just accepted has to be reset, and count it if so."""
        if not self._resets_left:
            return False
        self._resets_left -= 1
        self.ledger.reset_connections += 1
        return True

    def handle(self, request: Request) -> Handled:
        """Return the reply to a request, of a provider path or a control path."""
        if request.path.startswith("/_"):
            return Handled(self._control(request))
        self.ledger.requests[request.path] += 1
        dialect = self._chat_paths.get(request.path)
        if dialect is None:
            return Handled(self._look_up(request))
        if request.method != "POST":
            return Handled(json_reply(405, {"error": "Chat requests are sent by POST."}))
        return self._chat(request, dialect)

    # --- chat ---------------------------------------------------------------------------------

    def _chat(self, request: Request, dialect: Dialect) -> Handled:
        try:
            chat = read_chat(request.body, stream_by_default=dialect.stream_by_default)
        except BadRequest as error:
            return self._unreadable(request, dialect, str(error))
        call = self._receive(request, chat.identity, chat.model, chat.stream)
        fault, refusal = self._verdict(chat, call, dialect)
        exchange = self._exchange(chat, call, dialect)
        if fault:
            reply = faulty_reply(exchange, fault, self._script)
        elif refusal:
            reply = error_reply(dialect, refusal[0], refusal[1], exchange.headers)
        else:
            reply = good_reply(exchange)
        self.ledger.decide(call, fault=fault.name if fault else None, status=reply.status)
        return Handled(reply, call)

    def _receive(self, request: Request, identity: str, model: str, stream: bool) -> Call:
        self._arrivals += 1
        return self.ledger.receive(
            path=request.path,
            identity=identity,
            model=model,
            stream=stream,
            authorization=request.authorization,
        )

    def _unreadable(self, request: Request, dialect: Dialect, why: str) -> Handled:
        call = self._receive(request, hash_text(request.body), "", stream=False)
        reply = error_reply(dialect, 400, ErrorBody(why), {})
        self.ledger.decide(call, fault=None, status=reply.status)
        return Handled(reply, call)

    def _verdict(
        self, chat: Chat, call: Call, dialect: Dialect
    ) -> tuple[Fault | None, tuple[int, ErrorBody] | None]:
        """Return the fault to show, or else the refusal (status and error), or neither."""
        try:
            fault = self._script.fault_for_call(
                identity=chat.identity,
                attempt=call.attempt,
                model=chat.model,
                arrival=self._arrivals,
            )
        except ValueError as error:
            return None, (400, ErrorBody(str(error), param="model"))
        if fault and not fault.applies_to(dialect.name, stream=chat.stream):
            # Loud, so that no test takes a good answer for a fault well handled.
            form = "streamed" if chat.stream else "plain"
            why = f"A {form} {dialect.name} call cannot show the fault {fault.name}."
            return None, (400, ErrorBody(why, code="fault_not_applicable"))
        return fault, None if fault else self._refusal(chat, dialect)

    def _refusal(self, chat: Chat, dialect: Dialect) -> tuple[int, ErrorBody] | None:
        if not self._knows(chat.model):
            return 404, model_not_found(chat.model)
        if dialect.name == "openai" and (error := self._refused_parameter(chat)):
            return 400, error
        return None

    def _knows(self, model: str) -> bool:
        """Say whether a model is served; one without a tag means `:latest`, as in Ollama."""
        names = self._options.models
        return not self._options.closed or model.removesuffix(":latest") in names or model in names

    def _refused_parameter(self, chat: Chat) -> ErrorBody | None:
        strict, body = self._options.strict, chat.body
        temperature, top_p = body.get("temperature"), body.get("top_p")
        if "temperature" in strict and temperature not in (None, 1):
            return TEMPERATURE_REFUSED
        if "top_p_with_temperature" in strict and None not in (temperature, top_p):
            return TOP_P_WITH_TEMPERATURE_REFUSED
        if "max_tokens" in strict and body.get("max_tokens") is not None:
            return MAX_TOKENS_REFUSED
        return None

    def _exchange(self, chat: Chat, call: Call, dialect: Dialect) -> Exchange:
        mark = f"{chat.identity}-{call.attempt}"
        return Exchange(
            chat,
            dialect,
            answer_chat(chat, self._answer),
            self._reported(chat.model, call.n, f"chatcmpl-{mark}"),
            {"x-request-id": f"req-{mark}"},
            self._interval_s,
        )

    def _reported(self, model: str, n: int, response_id: str) -> Reported:
        fingerprint, drift = "fp_fake", self._options.drift
        if drift and n > drift.after:
            model, fingerprint = drift.model or model, drift.fingerprint or fingerprint
        return Reported(response_id, model, fingerprint)

    # --- what there is ------------------------------------------------------------------------

    def _look_up(self, request: Request) -> Reply:
        match request.method, request.path:
            case "GET", "/v1/models":
                models = [openai_model(name) for name in self._options.models]
                return json_reply(200, {"object": "list", "data": models})
            case "GET", path if path.startswith(_MODEL_PATH):
                return self._one_model(unquote(path.removeprefix(_MODEL_PATH)))
            case "GET", "/api/tags":
                listed = [ollama_model(name, self._digest(name)) for name in self._options.models]
                return json_reply(200, {"models": listed})
            case "POST", "/api/show":
                return self._show(request.body)
            case "GET", "/api/version":
                return json_reply(200, {"version": "0.12.0"})
        return json_reply(404, {"error": f"There is nothing at {request.method} {request.path}."})

    def _one_model(self, name: str) -> Reply:
        if self._knows(name):
            return json_reply(200, openai_model(name))
        return error_reply(OpenAI(), 404, model_not_found(name), {})

    def _show(self, body: bytes) -> Reply:
        name = requested_model(body)
        if self._knows(name):
            return json_reply(200, ollama_description())
        return error_reply(Ollama(), 404, model_not_found(name), {})

    def _digest(self, model: str) -> str:
        drift = self._options.drift
        if drift and drift.digest and len(self.ledger.calls) > drift.after:
            return drift.digest
        return model_digest(model)

    # --- control ------------------------------------------------------------------------------

    def _control(self, request: Request) -> Reply:
        match request.method, request.path:
            case "GET", "/_ledger":
                return json_reply(200, self.ledger.summary())
            case "GET", "/_ledger/calls":
                return json_reply(200, self.ledger.records())
            case "POST", "/_reset":
                self.reset()
                return json_reply(200, {})
            case "POST", "/_script":
                return self._take_script(request.body)
        return json_reply(404, {"error": f"There is no control {request.method} {request.path}."})

    def _take_script(self, body: bytes) -> Reply:
        try:
            self.set_script(FaultScript.from_json(body))
        except ValueError as error:
            return json_reply(400, {"error": str(error)})
        return json_reply(200, {})
