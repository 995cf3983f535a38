#!/bin/sh
# The first process of a node that has namespaces of its own for mounts, processes, the network and host name: whatever it mounts,
# starts or configures is gone when it is killed, and the machine is as before.
#   node.sh DIR TEST KUBELET RELAYS IMAGE...
set -eu
dir=$1 test=$2 kubelet=$3 relays=$4
shift 4

hostname node
mount -t tmpfs -o mode=755 tmpfs /run
for place in lib log; do
  mkdir -p "$dir/upper/$place" "$dir/scratch/$place"
  mount -t overlay -o "lowerdir=/var/$place,upperdir=$dir/upper/$place,workdir=$dir/scratch/$place" overlay "/var/$place"
done

# What a kubelet writes into the kernel, which has it only once, it finds written.
mkdir -p "$dir/kernel"
while read -r name value; do
  [ -e "/proc/sys/$name" ] || continue
  file=$dir/kernel/$(basename "$name")
  echo "$value" >"$file"
  mount --bind "$file" "/proc/sys/$name"
done <<END
vm/overcommit_memory 1
vm/panic_on_oom 0
kernel/panic 10
kernel/panic_on_oops 1
kernel/keys/root_maxkeys 1000000
kernel/keys/root_maxbytes 25000000
END

# The node's own address, and those of the API server's Service and of the cloud, which are relayed to the machine.
ip link set lo up
ip link add node0 type veth peer name node1
ip address add 10.89.0.1/24 dev node0
ip link set node0 up
ip link set node1 up
ip address add 10.0.0.1/32 dev lo
ip address add 10.0.0.2/32 dev lo
# shellcheck disable=SC2086 # one argument for each relay
"$test" relay $relays &

containerd --config "$dir/containerd.toml" >"$dir/containerd.log" 2>&1 &
until ctr --address "$dir/containerd.sock" version >/dev/null 2>&1; do sleep 0.1; done
for image in "$@"; do
  ctr --address "$dir/containerd.sock" --namespace k8s.io images import "$image"
done
"$kubelet" --config "$dir/kubelet.json" --kubeconfig "$dir/kubelet.kubeconfig" --hostname-override node --node-ip 10.89.0.1 \
  --root-dir "$dir/kubelet" --cert-dir "$dir/certificates" >"$dir/kubelet.log" 2>&1 &
wait
