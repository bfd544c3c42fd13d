"""Run a Ray cluster of two nodes on loopback until stdin ends: `python ray_cluster.py FOLDER`.

Prints a line of JSON with the address, and the processes of the second node.
"""

from __future__ import annotations

import json
import os
import sys

STORE = 80_000_000


def main(folder: str) -> None:
    """Start both nodes, tell, wait, stop them."""
    os.environ.update(
        RAY_AUTH_TOKEN_PATH=f"{folder}/token",  # else a token would be left that changes other clusters
        RAY_USAGE_STATS_ENABLED="0",
        RAY_DISABLE_IMPORT_WARNING="1",
    )
    from ray.cluster_utils import Cluster

    one = {"num_cpus": 2, "num_gpus": 0, "include_dashboard": False, "object_store_memory": STORE}
    cluster = Cluster(initialize_head=True, head_node_args=one)
    second = cluster.add_node(num_cpus=2, num_gpus=0, object_store_memory=STORE)
    cluster.wait_for_nodes()
    raylets = [info.process.pid for info in second.all_processes["raylet"]]
    print(json.dumps({"address": cluster.address, "second": raylets}), flush=True)
    sys.stdin.read()
    cluster.shutdown()


if __name__ == "__main__":
    main(sys.argv[1])
