"""Generated interactions with the structure that matters to sequential recommenders, for demos, tests and benchmarks.

Items belong to intents; their popularity follows Zipf's law, and each has a time at which it is most popular. A user
has home intents and walks: often to one of the few usual successors of a recent item, else to an intent that a Markov
chain chooses, or back home. So order carries signal (a first-order Markov chain beats popularity), a longer memory
helps beyond that, and the tail is long. Users arrive at any time, stay for a while and act in bursts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from datasets.interactions import DataError, Interactions

DEMO_USERS, DEMO_ITEMS, DEMO_INTERACTIONS = 1_500, 400, 25_000

FIRST_TIMESTAMP = 1_546_300_800  # 2019-01-01
PERIOD_SECONDS = 2 * 365 * 86_400
MEAN_STAY = 0.12  # of the period
NEW_VISIT_SHARE = 0.2
PAUSE_SECONDS = 90  # median, within a visit
TIE_SHARE = 0.01

EPOCHS = 6
FASHION_WIDTH = 0.25  # of the period
ZIPF_OFFSET = 3
SUCCESSORS = np.array([0.55, 0.25, 0.12, 0.08])
FOLLOW_SHARE = 0.5
LOOK_BACK_SHARE = 0.3  # of the moves that start from the item before the last one
HOMES = 2  # intents to which a user returns
HOME_SHARE = 0.7  # of the moves that do not follow
STAY_SHARE = 0.7  # of an intent's probability in the chain
REMEMBERED = 32
ATTEMPTS = 4


def demo(seed: int = 0) -> Interactions:
    """A small dataset on which a 64-wide encoder learns the order within seconds."""
    return stand_in(DEMO_USERS, DEMO_ITEMS, DEMO_INTERACTIONS, seed)


def stand_in(users: int, items: int, interactions: int, seed: int = 0) -> Interactions:
    """Exactly that many users, items and interactions, those of a user in time order; ids count from 0.

    The same seed gives the same data. Raises DataError if there are too few interactions for every user and item.
    """
    if min(users, items) < 1 or interactions < max(users, items):
        raise DataError(
            f"synthetic data of {users} users, {items} items and {interactions} interactions cannot be "
            "generated; give at least one of each, and an interaction for every user and item"
        )
    rng = np.random.default_rng(seed)
    lengths = _lengths(users, interactions, rng)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    seconds = _timestamps(lengths, offsets, rng)
    world = _World.build(items, rng)
    epochs = np.minimum(EPOCHS - 1, EPOCHS * (seconds - FIRST_TIMESTAMP) // PERIOD_SECONDS)
    walked = _walk(world, lengths, offsets[:-1], epochs, rng)
    user_ids, item_ids = np.repeat(np.arange(users), lengths), rng.permutation(items)[_cover(walked, items, rng)]
    return Interactions(
        user_ids.astype(np.int32), item_ids.astype(np.int32), seconds, np.arange(users), np.arange(items)
    )


def _lengths(users: int, interactions: int, rng: np.random.Generator) -> np.ndarray:
    """Interactions of each user, (users,) int64, log-normally spread above a minimum, summing to `interactions`."""
    minimum = min(5, interactions // users)
    activity = rng.lognormal(sigma=0.9, size=users)
    return minimum + rng.multinomial(interactions - minimum * users, activity / activity.sum())


def _timestamps(lengths: np.ndarray, offsets: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Unix seconds of each interaction, (n,) int64, ascending per user and within the period; ties are rare."""
    n = int(offsets[-1])
    owners = np.repeat(np.arange(len(lengths)), lengths)
    stays = np.minimum(0.5, rng.gamma(2.0, MEAN_STAY / 2, size=len(lengths))) * PERIOD_SECONDS
    visits = np.maximum(1.0, NEW_VISIT_SHARE * lengths)
    away = rng.exponential(size=n) * (stays / visits)[owners]
    pauses = rng.lognormal(np.log(PAUSE_SECONDS), 1.0, size=n) * (rng.random(n) > TIE_SHARE)
    gaps = np.where(rng.random(n) < NEW_VISIT_SHARE, away, pauses)
    gaps[offsets[:-1]] = 0
    elapsed = np.cumsum(gaps)
    elapsed -= elapsed[offsets[:-1]][owners]
    durations = elapsed[offsets[1:] - 1]
    squeeze = np.minimum(1.0, 0.9 * PERIOD_SECONDS / np.maximum(durations, 1.0))
    arrivals = rng.random(len(lengths)) * (PERIOD_SECONDS - durations * squeeze)
    return FIRST_TIMESTAMP + (arrivals[owners] + elapsed * squeeze[owners]).astype(np.int64)


@dataclass(frozen=True, eq=False)
class _World:
    """The V items in order of K intents, and every distribution that a walk draws from, as running sums.

    `bounds` (K + 1,): where each intent's items begin. `intents` (V,): the intent of each item.
    `mass` (EPOCHS * V + 1,): running sum of popularity, epoch after epoch. `chain` (K, K): running sums of where to
    go from an intent. `successors` (V, 4): what usually follows an item, the most usual first.
    """

    bounds: np.ndarray
    intents: np.ndarray
    mass: np.ndarray
    chain: np.ndarray
    successors: np.ndarray

    @classmethod
    def build(cls, items: int, rng: np.random.Generator) -> _World:
        n_intents = int(np.clip(items // 25, 1, 64))
        bounds = np.linspace(0, items, n_intents + 1).astype(np.int64)
        intents = np.repeat(np.arange(n_intents), np.diff(bounds))
        popularity = 1.0 / (rng.permutation(items) + ZIPF_OFFSET)
        middles = (np.arange(EPOCHS)[:, None] + 0.5) / EPOCHS  # (EPOCHS, 1), as shares of the period
        fashion = 0.2 + np.exp(-(((middles - rng.random(items)) / FASHION_WIDTH) ** 2))  # (EPOCHS, V)
        mass = np.concatenate([[0.0], np.cumsum(fashion * popularity)])
        leaving = rng.dirichlet(np.full(n_intents, 0.3), size=n_intents)
        chain = np.cumsum(STAY_SHARE * np.eye(n_intents) + (1 - STAY_SHARE) * leaving, axis=1)
        world = cls(bounds, intents, mass, chain, np.empty((items, 0), dtype=np.int64))
        followers = [world.draw(rng.integers(EPOCHS, size=items), world.move(intents, rng), rng) for _ in SUCCESSORS]
        return replace(world, successors=np.stack(followers, axis=1))

    def move(self, intents: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Where the chain goes from each of the intents (m,)."""
        reached = rng.random((len(intents), 1)) > self.chain[intents]  # (m, K)
        return np.minimum(reached.sum(axis=1), len(self.chain) - 1)

    def draw(self, epochs: np.ndarray, intents: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """An item for each epoch and intent (m,), by its popularity then and there."""
        first, last = self.bounds[intents], self.bounds[intents + 1] - 1
        shift = epochs * len(self.intents)
        low, high = self.mass[shift + first], self.mass[shift + last + 1]
        drawn = low + rng.random(len(intents)) * (high - low)
        return np.clip(np.searchsorted(self.mass, drawn, side="right") - 1 - shift, first, last)

    def follow(self, items: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """A usual successor of each of the items (m,)."""
        usual = np.searchsorted(np.cumsum(SUCCESSORS)[:-1], rng.random(len(items)))
        return self.successors[items, usual]


def _walk(
    world: _World, lengths: np.ndarray, starts: np.ndarray, epochs: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """The item of each interaction, (n,) int64: all users take a step at once, those with the longest walks first."""
    by_length = np.argsort(-lengths, kind="stable")
    homes = rng.integers(len(world.chain), size=(len(lengths), HOMES))
    last = before = world.draw(epochs[starts[by_length]], homes[:, 0], rng)
    recent = np.full((len(lengths), REMEMBERED), -1)
    walked = np.empty(len(epochs), dtype=np.int64)
    walking = len(lengths) - np.cumsum(np.bincount(lengths))  # users with more than `step` interactions
    for step, n in enumerate(walking[:-1]):
        rows = starts[by_length[:n]] + step
        origins = np.where(rng.random(n) < LOOK_BACK_SHARE, before[:n], last[:n])
        last, before = _step(world, origins, homes[:n], recent[:n], epochs[rows], rng), last
        recent[:n, step % REMEMBERED] = last
        walked[rows] = last
    return walked


def _step(
    world: _World,
    origins: np.ndarray,
    homes: np.ndarray,
    recent: np.ndarray,
    epochs: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """The next item of each of m users, from `origins` (m,); `recent` (m, REMEMBERED) are the ones to avoid."""
    items = world.follow(origins, rng)
    follows = rng.random(len(items)) < FOLLOW_SHARE
    pending = np.flatnonzero(~follows | (recent == items[:, None]).any(axis=1))
    for _ in range(ATTEMPTS):
        onward = world.move(world.intents[origins[pending]], rng)
        home = homes[pending, rng.integers(HOMES, size=len(pending))]
        intents = np.where(rng.random(len(pending)) < HOME_SHARE, home, onward)
        items[pending] = world.draw(epochs[pending], intents, rng)
        pending = pending[(recent[pending] == items[pending, None]).any(axis=1)]
    return items


def _cover(walked: np.ndarray, items: int, rng: np.random.Generator) -> np.ndarray:
    """The same walk with every item in it: items not yet in it replace interactions with items that come earlier."""
    met, first_rows = np.unique(walked, return_index=True)
    is_spare = np.ones(len(walked), dtype=bool)
    is_spare[first_rows] = False
    unmet = np.setdiff1d(np.arange(items), met)
    covered = walked.copy()
    covered[rng.choice(np.flatnonzero(is_spare), size=len(unmet), replace=False)] = unmet
    return covered
