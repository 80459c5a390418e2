# SPDX-License-Identifier: GPL-2.0-or-later
"""Requests from the control socket: a table from verb to handler, and the classic answers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from openswan.base.address import parse_address
from openswan.base.errors import ConfigError
from openswan.base.log import Rc
from openswan.engine.conn import Conn, Kind
from openswan.engine.effects import ReadCertificates, ReadSecrets, Shutdown, WhackDone
from openswan.engine.events import CertificatesRead, GroupsRead, SecretsRead, WhackRequest
from openswan.engine.listing import Listing
from openswan.engine.loadverbs import LoadVerbs
from openswan.engine.routing import RouteEvent
from openswan.engine.settings import SHUTDOWN_PATIENCE
from openswan.engine.status import lease_lines, status_lines
from openswan.engine.statusjson import status_json
from openswan.engine.timers import Timer
from openswan.wire.whack import LISTS

if TYPE_CHECKING:
    from openswan.engine.brain import Brain

Arguments = dict[str, Any]
MOST_LOGIN = 1023
"""Characters of a name or a password for XAUTH."""


class Whack:
    """The operator's side of pluto."""

    def __init__(self, brain: Brain) -> None:
        self.brain = brain
        self.core = brain.core
        self.leaving: tuple[bool, int] | None = None
        """Shutting down: whether the guard stays, and who asked."""
        loading = LoadVerbs(brain)
        self.verbs: dict[str, Callable[[int, Arguments], bool]] = {
            "add": loading.add,
            "replace": loading.replace,
            "retain": loading.retain,
            "prune": loading.prune,
            "pairs": loading.pairs,
            "delete": partial(self._each, self._delete),
            "route": partial(self._each, self._route),
            "unroute": partial(self._each, self._unroute),
            "initiate": self._initiate,
            "oppo": brain.pairverbs.oppo,
            "deletepair": brain.pairverbs.delete,
            "terminate": partial(self._each, self._terminate),
            "redirect": self._redirect,
            "listen": self._listen,
            "unlisten": self._unlisten,
            "status": self._status,
            "addresspoolstatus": self._pools,
            "rereadsecrets": self._reread_secrets,
            "rereadcerts": self._reread_certificates,
            "rereadgroups": self._reread_groups,
            "rereadall": self._reread_all,
            **{verb: partial(self._list, verb) for verb in LISTS},
            "debug": self._debug,
            "fetchcrls": self._fetch_crls,
            "purgeocsp": self._purge_ocsp,
            "shutdown": self._shutdown,
        }
        """Verb -> handler; True when the answer is complete."""
        self.rereading: dict[int, int] = {}
        """Clients and how many rereads they still wait for."""

    def request(self, event: WhackRequest) -> None:
        """Answer one request."""
        handler = self.verbs.get(event.verb)
        if handler is None:
            self.core.reply(event.client, Rc.WHACK_PROBLEM, f"whack error: unknown request {event.verb!r}")
            self.core.emit(WhackDone(event.client))
        elif self.core.stopping:
            self.core.reply(event.client, Rc.WHACK_PROBLEM, "pluto is shutting down")
            self.core.emit(WhackDone(event.client))
        elif handler(event.client, event.args):
            self.core.emit(WhackDone(event.client))

    # -- one or several by name ---------------------------------------------------------------------------------------

    def _named(self, client: int, args: Arguments) -> list[Conn]:
        name = args.get("name")
        found = self.core.conns.find(name) if isinstance(name, str) else []
        if not found:
            shown = name if isinstance(name, str) and name.isprintable() else "?"
            self.core.reply(client, Rc.UNKNOWN_NAME, f'no connection named "{shown}"')
        return found

    def _each(self, action: Callable[[Conn, int], None], client: int, args: Arguments) -> bool:
        """Do something with every connection a name or alias stands for; the answer ends when the last has ended."""
        conns = self._named(client, args)
        for conn in conns:
            self.core.attach(client, conn)
        for conn in conns:
            action(conn, client)
        # Whoever waited for something is released by it, which ends the answer.
        return not conns

    def _delete(self, conn: Conn, client: int) -> None:
        self.core.say(conn, "deleting connection", Rc.LOG)
        clients, conn.clients = conn.clients, []
        self.brain.loader.drop(conn)
        conn.clients = clients
        self.core.release(conn)

    def _route(self, conn: Conn, client: int) -> None:
        core, router = self.core, self.brain.router
        if not core.listening:
            core.say(conn, "need --listen before --route", Rc.DEAF)
            core.release(conn)
            return
        if conn.kind is Kind.GROUP:
            self.brain.groups.route(conn, partial(core.release, conn))
            return
        conn.on_demand = not conn.never
        router.guard(conn)
        if (problem := router.obstacle(conn)) is not None:
            core.say(conn, problem[1], problem[0])
            if problem[0] == Rc.LOG_SERIOUS:
                core.say(conn, "could not route", Rc.ROUTE)
            if conn.oriented is not None and not conn.keys:
                conn.on_demand = False
            core.release(conn)
            return
        if not router.happen(conn, RouteEvent.ROUTE, then=partial(self._routed, conn)):
            core.release(conn)

    def _routed(self, conn: Conn, ok: bool) -> None:
        if not ok:
            conn.on_demand = False
            self.core.say(conn, "could not route", Rc.ROUTE)
        self.core.release(conn)

    def _unroute(self, conn: Conn, client: int) -> None:
        core, router = self.core, self.brain.router
        if conn.kind is Kind.GROUP:
            self.brain.groups.unroute(conn, partial(core.release, conn))
            return
        users = [conn, *conn.instances.values()]
        if any(one.children for one in users):
            core.say(conn, "cannot unroute: route busy", Rc.RTBUSY)
            core.release(conn)
            return
        conn.on_demand = conn.wanted = False
        clients, conn.clients = conn.clients, []
        self.brain.negotiator.stop(conn)
        conn.clients = clients
        if not router.happen(conn, RouteEvent.UNROUTE, then=lambda _: core.release(conn)):
            router.unguard(conn)
            core.release(conn)

    def _initiate(self, client: int, args: Arguments) -> bool:
        conns = self._named(client, args)
        if len(conns) > 1 or (conns and args.get("name") != conns[0].name):
            self.core.reply(client, Rc.COMMENT, f"initiating all conns with alias='{args.get('name')}'")
        if not self._logins(client, conns, args):
            return True
        patient = args.get("asynchronous") is not True
        if patient:
            for conn in conns:
                self.core.attach(client, conn)
        for conn in conns:
            self.brain.negotiator.initiate(conn, client if patient else 0)
        return not (conns and patient)

    def _logins(self, client: int, conns: list[Conn], args: Arguments) -> bool:
        """Take the name and the password for XAUTH that a request brings; False: they have been asked for instead."""
        name, word = args.get("xauthname"), args.get("xauthpass")
        asked = [conn for conn in conns if conn.oriented is not None and conn.oriented.answers_password]
        for conn in asked:
            user, known = self.brain.isakmp.login(conn)
            user = name if isinstance(name, str) and name else user
            if isinstance(word, str) and word:
                conn.credentials = user[:MOST_LOGIN], word[:MOST_LOGIN]
            elif args.get("prompt") is True and not known:
                if conn.oriented is not None and not conn.oriented.ours.xauth_name and not name:
                    self.core.reply(client, Rc.XAUTHPROMPT, f"{conn.label}: enter the user name (empty: {user})")
                self.core.reply(client, Rc.ENTERSECRET, f"{conn.label}: enter the password of {user}")
                return False
        return True

    def _terminate(self, conn: Conn, client: int) -> None:
        self.core.say(conn, "terminating SAs using this connection", Rc.LOG)
        if conn.kind is Kind.GROUP:
            self.brain.groups.terminate(conn)
        else:
            self.brain.negotiator.terminate(conn)
        # Who asks for the status next is to find what the updown commands leave.
        self.brain.router.updowns.after({conn.name}, partial(self.core.release, conn))

    def _redirect(self, client: int, args: Arguments) -> bool:
        """Send clients of one conn, or of all, to other gateways (RFC 5685)."""
        conns = self._named(client, args) if args.get("name") else list(self.core.conns.named.values())
        try:
            targets = [parse_address(str(item)) for item in args.get("to") or ()]
        except ConfigError as why:
            self.core.reply(client, Rc.WHACK_PROBLEM, f"whack error: --redirect-to: {why}")
            return True
        if conns and targets:
            told = self.brain.redirects.tell(conns, targets)
            self.core.reply(client, Rc.LOG, f"{told} peers redirected")
        return True

    # -- daemon-wide --------------------------------------------------------------------------------------------------

    def _listen(self, client: int, args: Arguments) -> bool:
        core, network = self.core, self.brain.network
        core.log("listening for IKE messages", event="listen")
        core.reply(client, Rc.LOG, "listening for IKE messages")
        again, core.listening = core.listening, True
        core.reading = 2
        core.emit(ReadSecrets())
        core.emit(ReadCertificates())
        self.brain.groups.read()
        network.listen()
        if not network.listened:
            core.log("no public interfaces found", True, "no-interfaces")
            core.reply(client, Rc.LOG_SERIOUS, "no public interfaces found")
        for conn in list(core.conns.named.values()):
            network.reorient(conn)
        if again:
            network.resolve_all()
        return True

    def _unlisten(self, client: int, args: Arguments) -> bool:
        self.core.log("no longer listening for IKE messages", event="unlisten")
        self.core.reply(client, Rc.LOG, "no longer listening for IKE messages")
        self.core.listening = False
        self.brain.network.unlisten()
        return True

    def _status(self, client: int, args: Arguments) -> bool:
        if args.get("json") is True:
            self.core.reply(client, Rc.COMMENT, status_json(self.brain))
            return True
        for line in status_lines(self.brain):
            self.core.reply(client, Rc.COMMENT, line)
        return True

    def _pools(self, client: int, args: Arguments) -> bool:
        for line in lease_lines(self.brain):
            self.core.reply(client, Rc.COMMENT, line)
        return True

    def _list(self, verb: str, client: int, args: Arguments) -> bool:
        for line in Listing(self.brain).lines(verb):
            self.core.reply(client, Rc.COMMENT, line)
        return True

    def _debug(self, client: int, args: Arguments) -> bool:
        """Other classes of debugging lines, about all or about the conns that a name stands for."""
        named = bool(args.get("name"))
        names = dict.fromkeys(conn.name for conn in self._named(client, args)) if named else [""]
        try:
            told = {self.brain.debugging.ordered(name, args) for name in names}
        except ConfigError as why:
            self.core.reply(client, Rc.WHACK_PROBLEM, f"whack error: {why}")
            return True
        for line in filter(None, told):
            self.core.reply(client, Rc.COMMENT, line)
        return True

    def _fetch_crls(self, client: int, args: Arguments) -> bool:
        return self.brain.revocation.fetch_all(client)

    def _purge_ocsp(self, client: int, args: Arguments) -> bool:
        count = self.brain.revocation.purge()
        self.core.reply(client, Rc.COMMENT, f"{count} OCSP answers forgotten")
        return True

    def _reread_secrets(self, client: int, args: Arguments) -> bool:
        self.rereading[client] = 1
        self.core.emit(ReadSecrets(client))
        return False

    def _reread_certificates(self, client: int, args: Arguments) -> bool:
        self.rereading[client] = 1
        self.core.emit(ReadCertificates(client))
        return False

    def _reread_all(self, client: int, args: Arguments) -> bool:
        self.rereading[client] = 3
        self.core.emit(ReadSecrets(client))
        self.core.emit(ReadCertificates(client))
        self.brain.groups.read(client)
        return False

    def _reread_groups(self, client: int, args: Arguments) -> bool:
        self.rereading[client] = 1
        self.brain.groups.read(client)
        return False

    def groups_read(self, event: GroupsRead) -> None:
        """Lines of policy groups have changed."""
        self._told(event.client, self.brain.groups.files_read(event))

    def secrets_read(self, event: SecretsRead) -> None:
        """New secrets; what is established stays so."""
        self.brain.keyring.secrets = event.store
        self._reread(event.client, event.complaints)

    def certificates_read(self, event: CertificatesRead) -> None:
        """New trust anchors and CRLs."""
        bases = {name: place.certificates for name, place in event.places if place.certificates}
        self.brain.certificates.read(bases.values())
        keyring = self.brain.keyring
        keyring.anchors, keyring.bases, keyring.fetch_certs = event.anchors, bases, self.brain.certificates.announced
        self.brain.revocation.read(event)
        for line in event.loaded:
            self.core.log(line, event="certificates")
            self.core.reply(event.client, Rc.LOG, line)
        self._reread(event.client, event.complaints)

    def _reread(self, client: int, complaints: tuple[str, ...]) -> None:
        # Who could prove himself then perhaps cannot now: no session is resumed on the strength of it.
        self.brain.keyring.box = None
        self.core.states.tickets.clear()
        self.brain.keyring.forget()
        if not client and self.core.reading:
            self.core.reading -= 1
            if not self.core.reading:
                self.brain.negotiator.ready()
        self._told(client, complaints)

    def _told(self, client: int, complaints: tuple[str, ...]) -> None:
        """Say what is wrong with what was read; whoever asked for it waits for one thing less."""
        for line in complaints:
            self.core.log(line, True, "reread")
            self.core.reply(client, Rc.LOG_SERIOUS, line)
        if client in self.rereading:
            self.rereading[client] -= 1
            if not self.rereading[client]:
                del self.rereading[client]
                self.core.emit(WhackDone(client))

    # -- the end ------------------------------------------------------------------------------------------------------

    def _shutdown(self, client: int, args: Arguments) -> bool:
        core = self.core
        core.log("shutting down", event="shutdown")
        core.reply(client, Rc.LOG, "shutting down")
        self.leaving = (args.get("keep_guard") is True, client)
        self.brain.memory.keep()
        if self.leaving[0]:
            self.brain.router.keep_guards = True
        for conn in list(core.conns):
            if conn.clients:
                core.say(conn, "pluto is shutting down", Rc.LOG_SERIOUS)
                core.release(conn)
        for conn in list(core.conns.named.values()):
            self.brain.negotiator.remove(conn)
        core.stopping = True
        for ike in list(core.states.ikes.values()):
            self.brain.ikes.close(ike)
        core.after(Timer.SHUTDOWN, "", SHUTDOWN_PATIENCE, self._leave)
        self.stopped_yet()
        return False

    def stopped_yet(self) -> None:
        """Go once no updown command runs any more."""
        if self.leaving is not None and self.brain.router.updowns.idle:
            self._leave()

    def _leave(self) -> None:
        if self.leaving is None:
            return
        keep, client = self.leaving
        self.leaving = None
        self.core.timers.cancel((Timer.SHUTDOWN, ""))
        if client:
            self.core.emit(WhackDone(client))
        self.core.emit(Shutdown(keep))
