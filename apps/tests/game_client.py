#!/usr/bin/env python3
"""A client of the game, written from docs/game-protocol.md and nothing else.

    game_client.py ADDRESS PORT PLAYERS

Two players join, move, fight, talk, come back from another port and leave; others are refused. The server
has to be fresh, take PLAYERS players, let them be silent for some two seconds, and have a world of 12 to 30 metres in
one cell. What was seen is said line by line. Exit: 0 all was as the page says, 1 not so.
"""

import math
import select
import socket
import struct
import sys
import time
import unicodedata

(MOVE, ATTACK, SAY, JOIN, LEAVE, PING) = range(1, 7)
(ACK, RESULT, CHAT, CHALLENGE, WELCOME, PONG, CORRECTION, UPDATE, ERROR, LEFT) = range(101, 111)
(HIT, KILLED, OUT_OF_RANGE, TOO_EARLY, NO_TARGET, IS_DEAD) = range(6)
(VERSION, FULL, UNKNOWN_PLAYER) = range(1, 4)
(ASKED, SILENT, ELSEWHERE) = range(3)
FIGHTS, DEAD = 1, 2
SWORD, BOW, STAFF = range(3)
REST = {SWORD: 0.5, BOW: 1.0, STAFF: 3.0}
NOBODY, NO_COOKIE = 0, bytes(8)

HEADER = struct.Struct("<IIQ")
ENTRY = struct.Struct("<II3f3fHH")
UPDATE_HEAD = struct.Struct("<IIHHBBH")
BODIES = {
    ACK: struct.Struct("<I3f3f"),
    CORRECTION: struct.Struct("<I3f3f"),
    RESULT: struct.Struct("<IIIII"),
    CHALLENGE: struct.Struct("<8s"),
    WELCOME: struct.Struct("<IIQI3ffffI"),
    PONG: struct.Struct("<I"),
    ERROR: struct.Struct("<II"),
    LEFT: struct.Struct("<I3fI"),
}
# Seconds that an answer may take on a busy machine.
PATIENCE = 5.0


def main(address, port, players):
    server = (address, int(port))
    check_refusals(server)
    one, two = Player(server), Player(server)
    check_join(one)
    check(two.join()[1] == WELCOME, "the second joins")
    Player.company = [one, two]
    check_ping(one)
    check_moves(one)
    check_overtaken(one)
    check_what_is_too_much(one)
    check_updates(one, two)
    check_chat(one, two)
    check_malformed(one)
    check_strangers(server, one)
    check_fight(one, two)
    check_return(server, two)
    check_capacity(server, int(players))
    Player.company = []
    check_leave(one)
    check_leave(two)


# ---- a player ----------------------------------------------------------------------


class Player:
    """A socket, and what the server said to it."""

    # Who has to be heard of while one of them takes its time.
    company = []

    def __init__(self, server):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(server)
        self.id, self.token, self.sent_at = NOBODY, 0, 0
        self.updates, self.chats = [], []

    def send_bytes(self, message):
        self.socket.send(message)

    def send(self, kind, body):
        """Gives the timestamp, which the answer has to have. Each is later than the one before."""
        timestamp = self.sent_at = max(time.monotonic_ns(), self.sent_at + 1)
        self.send_bytes(HEADER.pack(kind, HEADER.size + len(body), timestamp) + body)
        return timestamp

    def receive(self, patience=PATIENCE):
        """The next message: its type, its timestamp and its fields. Updates and chat are put aside."""
        deadline = time.monotonic() + patience
        while select.select([self.socket], [], [], max(0, deadline - time.monotonic()))[0]:
            kind, timestamp, fields = parse(self.socket.recv(65536))
            if kind == UPDATE:
                self.updates.append(fields)
            elif kind == CHAT:
                self.chats.append(fields)
            elif kind is not None:
                return kind, timestamp, fields
        return None, 0, ()

    def answer(self, to, *kinds):
        """The answer to the message with the timestamp `to`: its type and its fields."""
        kind, timestamp, fields = self.receive()
        check(kind in kinds, "the answer is of type %s, not one of %s: %s" % (kind, kinds, fields))
        check(timestamp == to, "the answer has the timestamp %s, not %s" % (timestamp, to))
        return kind, fields

    def ask(self, kind, body, *kinds):
        return self.answer(self.send(kind, body), *kinds)

    def ask_to_join(self, cookie, player=NOBODY, token=0, version=1):
        body = struct.pack("<IIQ8s24x", version, player, token, cookie)
        return self.ask(JOIN, body, CHALLENGE, WELCOME, ERROR)

    def join(self, player=NOBODY, token=0):
        """Joins, or comes back."""
        kind, (cookie,) = self.ask_to_join(NO_COOKIE, player, token)
        check(kind == CHALLENGE and cookie != NO_COOKIE, "a cookie comes first, not %s" % kind)
        kind, fields = self.ask_to_join(cookie, player, token)
        if kind == WELCOME:
            self.welcome(*fields)
        return cookie, kind, fields

    def welcome(self, version, player, token, tick_rate, x, y, z, world, cell, top_speed, timeout):
        check(version == 1 and player != NOBODY and 20 <= tick_rate <= 60, "a welcome")
        self.id, self.token, self.tick_rate, self.timeout = player, token, tick_rate, timeout / 1000
        self.place, self.world, self.cell, self.top_speed = (x, y, z), world, cell, top_speed
        check(all(0 <= at <= limit for at, limit in zip(self.place, (world, 1000, world))), "in the world")

    def move(self, place, velocity=(0.0, 0.0, 0.0)):
        """Says that it is there. Gives the answer's type, its fields and the message's timestamp."""
        body = struct.pack("<I3f3f", self.id, *place, *velocity)
        timestamp = self.send(MOVE, body)
        kind, fields = self.answer(timestamp, ACK, CORRECTION)
        if kind == ACK:
            check(struct.pack("<I3f3f", *fields) == body, "an acknowledgement is the move")
        check(fields[0] == self.id, "a move of somebody else")
        self.place = fields[1:4]
        return kind, fields, timestamp

    def walk(self, to):
        """Goes there at eight tenths of its top speed, in steps that are acknowledged."""
        step, speed = 0.05, 0.8 * self.top_speed
        time.sleep(0.1)
        while (left := math.dist(self.place, to)) > 0.01:
            time.sleep(step)
            part = min(1, step * speed / left)
            place = tuple(here + (there - here) * part for here, there in zip(self.place, to))
            velocity = tuple((there - here) / left * speed for here, there in zip(self.place, to))
            kind, fields, _ = self.move(place, velocity)
            check(kind == ACK, "a step of %s to %s was corrected to %s" % (self.place, place, fields))
            self.stay()

    def attack(self, target, weapon):
        body = struct.pack("<III", self.id, target, weapon)
        _, fields = self.ask(ATTACK, body, RESULT)
        check(fields[:3] == (self.id, target, weapon), "the result of another attack: %s" % (fields,))
        return fields[3:]

    def ping(self):
        """Everything that came before the answer."""
        timestamp = self.send(PING, struct.pack("<I", self.id))
        before = []
        while (heard := self.receive())[:2] != (PONG, timestamp):
            check(heard[0] is not None, "no PONG; before it came %s" % before)
            before.append(heard)
        check(heard[2] == (self.id,), "a PONG of somebody else")
        return before

    def hear(self, seconds):
        """Listens for so long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.stay()
            time.sleep(0.1)

    @classmethod
    def stay(cls):
        """All are heard of, and what came before their answers was asked for."""
        for player in cls.company:
            check((heard := player.ping()) == [], "something came unasked: %s" % heard)

    def entries(self, player):
        """What the updates said of a player: the tick, then the fields."""
        for update in self.updates:
            for entry in update["entries"]:
                if entry["player"] == player:
                    yield dict(entry, tick=update["tick"])


def parse(message):
    """Checks a message as the page says. A type of None for one that is not known."""
    check(len(message) >= HEADER.size, "shorter than a header")
    kind, size, timestamp = HEADER.unpack_from(message)
    check(size == len(message), "the header says %s bytes of %s" % (size, len(message)))
    body = message[HEADER.size :]
    if kind == UPDATE:
        return kind, timestamp, parse_update(body)
    if kind == CHAT:
        return kind, timestamp, parse_chat(body)
    if kind not in BODIES:
        return None, timestamp, ()
    check(len(body) == BODIES[kind].size, "%s bytes of type %s" % (len(body), kind))
    fields = BODIES[kind].unpack(body)
    check(all(math.isfinite(field) for field in fields if isinstance(field, float)), "finite numbers")
    return kind, timestamp, fields


def parse_update(body):
    tick, previous, east, north, part, parts, count = UPDATE_HEAD.unpack_from(body)
    check(part < parts and count <= 32, "part %s of %s, %s entries" % (part, parts, count))
    check(len(body) == UPDATE_HEAD.size + count * ENTRY.size, "the length of an update")
    update = dict(tick=tick, previous=previous, cell=(east, north), part=part, parts=parts, entries=[])
    for fields in ENTRY.iter_unpack(body[UPDATE_HEAD.size :]):
        player, stamp, *vectors, health, flags = fields
        check(all(map(math.isfinite, vectors)) and health <= 100, "an entry: %s" % (fields,))
        entry = dict(player=player, stamp=stamp, place=tuple(vectors[:3]), velocity=tuple(vectors[3:]))
        update["entries"].append(dict(entry, health=health, flags=flags))
    return update


def parse_chat(body):
    player, length = struct.unpack_from("<II", body)
    text = body[8:].decode()
    check(length == len(body) - 8 and 1 <= length <= 200, "the length of what is said")
    check(not any(unicodedata.category(letter) == "Cc" for letter in text), "control characters")
    return player, text


def say_body(player, text):
    return struct.pack("<II", player, len(text)) + text


def single(number):
    """The number as an f32 has it."""
    return struct.unpack("<f", struct.pack("<f", number))[0]


# ---- what the page says, and whether it is so ------------------------------------------


def check_refusals(server):
    stranger = Player(server)
    kind, fields = stranger.ask_to_join(NO_COOKIE, version=2)
    if kind == CHALLENGE:
        kind, fields = stranger.ask_to_join(fields[0], version=2)
    check((kind, fields) == (ERROR, (VERSION, 1)), "another version: %s %s" % (kind, fields))
    seen("another version is refused")
    _, kind, fields = stranger.join(player=77, token=77)
    check((kind, fields[0]) == (ERROR, UNKNOWN_PLAYER), "no such player: %s %s" % (kind, fields))
    seen("who never was a player can't come back")
    kind, _ = stranger.ask_to_join(b"no cooki")
    check(kind == CHALLENGE, "a cookie that is none: %s" % kind)
    _, (cookie,) = stranger.ask_to_join(NO_COOKIE)
    kind, _ = Player(server).ask_to_join(cookie)
    check(kind == CHALLENGE, "the cookie of another port: %s" % kind)
    seen("a cookie is good for its address only")


def check_join(player):
    cookie, kind, fields = player.join()
    check(kind == WELCOME, "no welcome: %s %s" % (kind, fields))
    again = player.ask_to_join(cookie)
    check(again == (WELCOME, fields), "the same welcome: %s and %s" % (fields, again))
    seen("a player joined, with its cookie")


def check_ping(player):
    check(player.ping() == [], "something came unasked")
    seen("a ping came back")


def check_moves(player):
    middle = player.world / 2
    player.walk((middle, 1.5, middle))
    player.walk((1.0, 0.0, 1.0))
    seen("every step was acknowledged")


def check_overtaken(player):
    """The last move once more is acknowledged again, another of its time or before is not answered."""
    _, fields, timestamp = player.move(player.place)
    here = struct.pack("<I3f3f", *fields)
    there = struct.pack("<I3f3f", player.id, player.place[0], player.place[1] + 0.1, player.place[2], 0, 0, 0)
    for time_of_it, body in ((timestamp - 1, here), (timestamp - 1, there), (timestamp, there)):
        player.send_bytes(HEADER.pack(MOVE, HEADER.size + len(body), time_of_it) + body)
    check((heard := player.ping()) == [], "an answer to a move that was overtaken: %s" % heard)
    player.send_bytes(HEADER.pack(MOVE, HEADER.size + len(here), timestamp) + here)
    check((heard := player.ping()) == [(ACK, timestamp, fields)], "the last move once more: %s" % heard)
    seen("moves that were overtaken move nobody")


def check_what_is_too_much(player):
    here, world = player.place, player.world
    nothing = (0.0, 0.0, 0.0)
    time.sleep(0.2)
    wrong = {
        "too far": ((here[0], here[1] + 5 * player.top_speed, here[2]), nothing),
        "out of the world": ((-0.001, 0.0, here[2]), nothing),
        "below the ground": ((here[0], -0.001, here[2]), nothing),
        "behind the world": ((here[0], 0.0, world + 1000), nothing),
        "too fast": (here, (0.0, 0.0, player.top_speed + 0.1)),
    }
    for why, (place, velocity) in wrong.items():
        kind, fields, _ = player.move(place, velocity)
        check(kind == CORRECTION and fields[1:] == here + nothing, "%s: %s %s" % (why, kind, fields))
    player.walk((2.0, 0.0, 2.0))
    seen("what can't be is corrected, and the player goes on from there")


def check_updates(one, two):
    """Its own moves by their stamps, the other's too, the idle one's each second."""
    one.updates.clear(), two.updates.clear()
    one.walk((1.0, 0.0, 1.0))
    place = tuple(map(single, (1.0, 0.0, 1.25)))
    time.sleep(0.2)
    _, _, timestamp = one.move(place)
    one.hear(2.5)
    for player in (one, two):
        last = list(player.entries(one.id))[-1]
        check(last["stamp"] == timestamp & 0xFFFFFFFF, "the stamp of the last move: %s" % last)
        check(last["place"] == place and last["health"] == 100, "the last place: %s" % last)
        check_chain(player)
    idle = sorted({entry["tick"] for entry in one.entries(two.id)})
    check(len(idle) >= 2, "the other is heard of each second: %s" % idle)
    gaps = [after - before for before, after in zip(idle, idle[1:])]
    check(max(gaps) <= 1.5 * one.tick_rate, "… and not more seldom: ticks %s" % idle)
    seen("updates name who moves, and who stands still once a second")


def check_chain(player):
    """With nothing lost, an update's `previous` is the tick of the one before, and parts are all there."""
    ticks = {}
    for update in player.updates:
        ticks.setdefault((update["tick"], update["previous"], update["parts"]), []).append(update["part"])
    chain = sorted(ticks)
    for (before, *_), (tick, previous, _) in zip(chain, chain[1:]):
        check(previous == before, "tick %s comes after %s and not %s" % (tick, previous, before))
    check(all(sorted(found) == list(range(key[2])) for key, found in ticks.items()), "all parts: %s" % ticks)


def check_chat(one, two):
    one.hear(0.6)
    one.chats.clear(), two.chats.clear()
    text = "grüß dich, wer da?"
    one.send(SAY, say_body(one.id, text.encode()))
    one.send(SAY, say_body(one.id, b"too soon"))
    one.hear(0.6)
    one.send(SAY, say_body(one.id, b"a" * 200))
    one.hear(0.4)
    expected = [(one.id, text), (one.id, "a" * 200)]
    check(one.chats == expected and two.chats == expected, "said: %s and %s" % (one.chats, two.chats))
    seen("what is said is heard by both, what is said too soon by nobody")


def check_malformed(player):
    """Nothing of this is answered, and the player stays one."""
    one = struct.pack("<I", player.id)
    place = struct.pack("<3f", *player.place)
    bodies = [
        (MOVE, one + place + struct.pack("<3f", 0, math.nan, 0)),
        (MOVE, one + struct.pack("<3f", math.inf, 0, 0) + place),
        (MOVE, one + place),
        (MOVE, one + place + place + b"\0"),
        (ATTACK, struct.pack("<III", player.id, player.id, 3)),
        (ATTACK, struct.pack("<II", player.id, player.id)),
        (SAY, say_body(player.id, b"")),
        (SAY, say_body(player.id, b"a" * 201)),
        (SAY, say_body(player.id, b"\xff\xfe")),
        (SAY, say_body(player.id, b"a\nb")),
        (SAY, say_body(player.id, "a\u0085b".encode())),
        (SAY, struct.pack("<II", player.id, 9) + b"short"),
        (JOIN, struct.pack("<IIQ8s23xB", 1, 0, 0, NO_COOKIE, 1)),
        (JOIN, struct.pack("<II", 1, 0)),
        (LEAVE, b""),
        (PING, one + b"\0"),
        (ACK, one + place + place),
        (WELCOME, bytes(48)),
        (0, one),
        (7, one),
        (0xFFFFFFFF, one),
    ]
    for kind, body in bodies:
        player.send(kind, body)
    ping = HEADER.pack(PING, 20, 0) + one
    for message in (b"", b"a", ping[:15], ping[:19], ping + b"\0", HEADER.pack(PING, 21, 0) + one):
        player.send_bytes(message)
    heard = player.ping()
    check(heard == [], "answers to what is malformed: %s" % heard)
    check(player.move(player.place)[0] == ACK, "the player is still one")
    seen("what is malformed is not answered")


def check_strangers(server, player):
    """Who sends from elsewhere is nobody, whatever number it says."""
    stranger = Player(server)
    one = struct.pack("<I", player.id)
    stranger.send(MOVE, one + struct.pack("<6f", *player.place, 0, 0, 0))
    stranger.send(ATTACK, struct.pack("<III", player.id, player.id, SWORD))
    stranger.send(SAY, say_body(player.id, b"it is me"))
    stranger.send(PING, one)
    stranger.send(LEAVE, one)
    kind, _ = stranger.ask_to_join(NO_COOKIE)
    check(kind == CHALLENGE, "a stranger is heard: %s" % kind)
    check(player.ping() == [], "the player is still one")
    seen("strangers are not heard")


def check_fight(one, two):
    two.walk((10.0, 0.0, 10.0))
    check(one.attack(two.id, SWORD) == (OUT_OF_RANGE, 0), "a sword does not reach so far")
    check(one.attack(two.id, BOW) == (TOO_EARLY, 0), "one rests behind an attack that failed, too")
    one.hear(REST[SWORD] + 0.1)
    check(one.attack(NOBODY, SWORD) == (NO_TARGET, 0), "nobody is no target")
    one.hear(REST[SWORD] + 0.1)
    one.updates.clear(), two.updates.clear()
    strike(one, two, STAFF, HIT, 60)
    rested = time.monotonic() + REST[STAFF] + 0.1
    one.walk((9.0, 0.0, 9.0))
    one.hear(rested - time.monotonic())
    for outcome, health in ((HIT, 35), (HIT, 10), (KILLED, 0)):
        strike(one, two, SWORD, outcome, health)
        if outcome != KILLED:
            one.hear(REST[SWORD] + 0.1)
    check_death(one, two)


def strike(one, two, weapon, outcome, health):
    """A hit, of which both hear the same."""
    result = one.attack(two.id, weapon)
    check(result == (outcome, health), "%s instead of %s" % (result, (outcome, health)))
    kind, _, fields = two.receive()
    check((kind, fields) == (RESULT, (one.id, two.id, weapon, outcome, health)), "the target's: %s" % (fields,))


def check_death(one, two):
    begin, died = time.monotonic(), two.place
    kind, fields, _ = two.move(died)
    check(kind == CORRECTION and fields[1:4] == died, "the dead don't move")
    check(two.attack(one.id, BOW) == (IS_DEAD, 0), "the dead don't attack")
    one.hear(REST[SWORD] + 0.1)
    check(one.attack(two.id, SWORD) == (NO_TARGET, 0), "the dead are left alone")
    one.hear(begin + 2.5 - time.monotonic())
    kind, timestamp, fields = two.receive()
    check((kind, timestamp, fields[0]) == (CORRECTION, 0, two.id), "it lives again: %s %s" % (kind, fields))
    two.place = fields[1:4]
    one.hear(0.3)
    said = list(one.entries(two.id))
    check(any(entry["flags"] & FIGHTS for entry in said), "a fight is seen")
    check(any(entry["flags"] & DEAD and entry["health"] == 0 for entry in said), "a death is seen")
    check(not said[-1]["flags"] & DEAD and said[-1]["health"] == 100, "a life is seen: %s" % said[-1])
    check(said[-1]["place"] == two.place, "its place: %s, %s" % (said[-1], two.place))
    two.walk((two.world / 2, 0.0, two.world / 2))
    seen("a fight to the death, and a life after it")


def check_return(server, player):
    """From another port, with the token; then what comes from the old one is a stranger's."""
    old, player.socket = player.socket, Player(server).socket
    was, token, place = player.id, player.token, player.place
    _, kind, fields = player.join(was, token ^ 1)
    check((kind, fields[0]) == (ERROR, UNKNOWN_PLAYER), "the wrong token: %s %s" % (kind, fields))
    for wait in (0, 0.25, 0.5, 1):
        time.sleep(wait)
        _, kind, fields = player.join(was, token)
        if kind == WELCOME:
            break
    check(kind == WELCOME, "it can't come back: %s %s" % (kind, fields))
    check(player.place == place, "it is where it was: %s, %s" % (player.place, place))
    fresh, player.socket = player.socket, old
    kind, _, fields = player.receive()
    check((kind, fields) == (LEFT, (was, *place, ELSEWHERE)), "the old address is told: %s" % (fields,))
    player.send(PING, struct.pack("<I", player.id))
    kind, _ = player.ask_to_join(NO_COOKIE)
    check(kind == CHALLENGE, "the old address is a stranger's: %s" % kind)
    player.socket = fresh
    check(player.ping() == [], "something came unasked")
    seen("a player came back from another port")


def check_capacity(server, players):
    """The last seat is taken and left by silence; for one more there is none meanwhile."""
    more = [Player(server) for _ in range(players - len(Player.company))]
    for player in more:
        check(player.join()[1] == WELCOME, "there is a seat")
    late = Player(server)
    _, kind, fields = late.join()
    check((kind, fields) == (ERROR, (FULL, players)), "the server is full: %s %s" % (kind, fields))
    seen("the server is full with %s players" % players)
    timeout = more[0].timeout
    more[0].hear(timeout + 1)
    for player in more:
        kind, _, fields = player.receive()
        check((kind, fields) == (LEFT, (player.id, *player.place, SILENT)), "silence: %s %s" % (kind, fields))
    check(late.join()[1] == WELCOME, "their seats are free")
    seen("who is silent has left")
    check_leave(late)


def check_leave(player):
    kind, fields = player.ask(LEAVE, struct.pack("<I", player.id), LEFT)
    check(fields == (player.id, *player.place, ASKED), "where it left: %s, %s" % (fields, player.place))
    player.send(PING, struct.pack("<I", player.id))
    kind, _ = player.ask_to_join(NO_COOKIE)
    check(kind == CHALLENGE, "it is a stranger now: %s" % kind)
    seen("a player left from where the server has it")


def check(is_so, what):
    if not is_so:
        sys.exit("game_client.py: %s" % what)


def seen(what):
    print(what, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
