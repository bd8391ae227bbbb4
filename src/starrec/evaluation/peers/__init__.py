"""Peers: recommenders of other libraries and papers on the project's own tasks.

`PEERS` has all of them by name. Nothing here imports a peer's library before the peer is used.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal, TypeAlias

from starrec.evaluation.peers.ease import EASE_DECAYED
from starrec.evaluation.peers.lenskit import LENSKIT
from starrec.evaluation.peers.peer import Drawn, FittedPeer, Peer, Settings
from starrec.evaluation.peers.recbole import RECBOLE_SASREC
from starrec.evaluation.peers.tuning import TRIES, Try, Tuned, tune

PeerName: TypeAlias = Literal[
    "lenskit_item_knn", "lenskit_user_knn", "lenskit_ease", "lenskit_als", "ease_decayed", "recbole_sasrec"
]

PEERS: Final[Mapping[str, Peer]] = {peer.name: peer for peer in (*LENSKIT, EASE_DECAYED, RECBOLE_SASREC)}


def require(names: Sequence[str]) -> None:
    """Check that these peers can be run here.

    Raises:
        StarrecError: a library or an environment is missing; the message names the command that brings it.
    """
    for name in names:
        PEERS[name].version()


__all__ = [
    "PEERS",
    "TRIES",
    "Drawn",
    "FittedPeer",
    "Peer",
    "PeerName",
    "Settings",
    "Try",
    "Tuned",
    "require",
    "tune",
]
