#!/usr/bin/env bash
# Deploys the Helm chart to the cluster that kubectl speaks to: looks at the tools and the cluster first and tells all
# faults at once, then installs or upgrades, waits until everything is ready and prints where it is. What does not
# become ready is rolled back. `scripts/deploy.sh --help` lists the options. docs/deploying.md tells the rest.
#
# Exit codes: 0 done, 1 a fault of tools, cluster or deployment, 64 bad usage.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)"

chart="$root/deploy/helm/digital-twin"
release="digital-twin"
namespace="digital-twin-system"
timeout="10m"
mode="deploy"
delete_data=""
force=""
no_health_check=""
values=()       # as helm takes them
connection=()   # as kubectl takes it
faults=()
namespace_exists=""
helm_major=""
server_minor=""
manifest=""     # what the chart makes of the values

# What the chart is for. Its tests hold it against the schemas of each of these versions of Kubernetes, rendered by Helm 4.2 alone.
oldest_helm_3_minor=14
oldest_kubernetes_minor=29
newest_kubernetes_minor=37

usage() {
    cat <<END
Usage: scripts/deploy.sh [OPTION…]

  --release NAME       the Helm release ($release)
  --namespace NAME     the Kubernetes namespace, made if it is not there ($namespace)
  --values FILE        values for the chart; may be given several times, the last one wins
  --set KEY=VALUE      a value for the chart, whatever files say; may be given several times
  --chart CHART        the chart: a folder, an archive or oci://… (deploy/helm/digital-twin of this repository)
  --context NAME       the context of the kubeconfig (its current one)
  --kubeconfig FILE    the kubeconfig (\$KUBECONFIG, ~/.kube/config)
  --timeout DURATION   how long all may take to become ready, as 90s or 10m ($timeout)
  --force              go on in spite of faults of the cluster, as GPU nodes that are only made when they are needed
  --no-health-check    do not ask health_check at the end, as where the robot is not there yet
  --dry-run            look, render, have the server check every object, and change nothing
  --uninstall          remove the release; claims of data and the namespace stay
  --delete-data        with --uninstall: the release's claims too, and the data in them
  --help               this text
END
}

# Of the usage: 64.
misused() { # MESSAGE…
    echo "error: $*" >&2
    echo "scripts/deploy.sh --help lists the options" >&2
    exit 64
}

die() {
    echo "error: $*" >&2
    exit 1
}

fault() { # WHAT-IS-WRONG: WHAT-TO-DO
    faults+=("$*")
}

parse_arguments() { # ARGUMENT…
    while [ $# -gt 0 ]; do
        case "$1" in
            --help) usage && exit 0 ;;
            --dry-run) set_mode dry-run ;;
            --uninstall) set_mode uninstall ;;
            --delete-data) delete_data=1 ;;
            --force) force=1 ;;
            --no-health-check) no_health_check=1 ;;
            --*=*)
                parse_option "${1%%=*}" "${1#*=}"
                ;;
            --*)
                [ $# -ge 2 ] || is_unknown "$1" || misused "$1 needs a value"
                parse_option "$1" "${2-}"
                shift
                ;;
            *) misused "$1 is no option" ;;
        esac
        shift
    done
    [ -z "$delete_data" ] || [ "$mode" = uninstall ] || misused "--delete-data is for --uninstall"
    check_arguments
}

is_unknown() { # OPTION
    [[ " --release --namespace --values --set --chart --context --kubeconfig --timeout " != *" $1 "* ]]
}

parse_option() { # NAME VALUE
    ! is_unknown "$1" || misused "$1 is no option"
    [ -n "$2" ] || misused "$1 needs a value"
    case "$1" in
        --release) release="$2" ;;
        --namespace) namespace="$2" ;;
        --values | --set) values+=("$1=$2") ;;
        --chart) chart="$2" ;;
        --context) connection+=("--context=$2") ;;
        --kubeconfig) connection+=("--kubeconfig=$2") ;;
        --timeout) timeout="$2" ;;
    esac
}

set_mode() { # MODE
    [ "$mode" = deploy ] || [ "$mode" = "$1" ] || misused "--dry-run and --uninstall exclude each other"
    mode="$1"
}

check_arguments() {
    local name value
    for name in "$release" "$namespace"; do
        [[ $name =~ ^[a-z0-9]([-a-z0-9]*[a-z0-9])?$ ]] || misused "'$name' is no name: a-z, 0-9 and '-' between them"
    done
    [ "${#release}" -le 53 ] || misused "--release has at most 53 characters"
    [[ $timeout =~ ^[1-9][0-9]*(s|m|h)$ ]] || misused "--timeout=$timeout is no duration, as 90s or 10m"
    for value in ${values[@]+"${values[@]}"}; do
        [[ $value != --values=* ]] || [ -r "${value#--values=}" ] || misused "${value#--values=} cannot be read"
    done
    [[ $chart == oci://* ]] || [ -e "$chart" ] || misused "there is no chart $chart"
}

# Both take a context, and name it differently.
run_kubectl() {
    kubectl ${connection[@]+"${connection[@]}"} --request-timeout=20s "$@"
}

run_helm() {
    helm ${connection[@]+"${connection[@]/#--context=/--kube-context=}"} --namespace "$namespace" "$@"
}

check_tools() {
    local version minor
    type kubectl >/dev/null 2>&1 || fault "kubectl is missing: https://kubernetes.io/docs/tasks/tools/"
    if ! type helm >/dev/null 2>&1; then
        fault "helm is missing: https://helm.sh/docs/intro/install/"
        return
    fi
    version="$(helm version --template '{{.Version}}' 2>/dev/null || true)"
    if ! [[ $version =~ ^v([0-9]+)\.([0-9]+)\. ]]; then
        fault "helm does not tell its version: '$version'"
        return
    fi
    helm_major="${BASH_REMATCH[1]}" minor="${BASH_REMATCH[2]}"
    if [ "$helm_major" -lt 3 ] || { [ "$helm_major" -eq 3 ] && [ "$minor" -lt "$oldest_helm_3_minor" ]; }; then
        fault "helm is $version: 3.$oldest_helm_3_minor or newer is needed"
    fi
}

# Nothing else can be asked of a cluster that does not answer.
check_cluster() {
    local answer
    answer="$(run_kubectl version 2>&1)" || die "the cluster does not answer: ${answer##*$'\n'}"
    [[ $answer =~ Server\ Version:\ v1\.([0-9]+) ]] || die "the cluster does not tell its version: $answer"
    server_minor="${BASH_REMATCH[1]}"
    if [ "$server_minor" -lt "$oldest_kubernetes_minor" ]; then
        fault "Kubernetes is 1.$server_minor: 1.$oldest_kubernetes_minor or newer is needed"
    elif [ "$server_minor" -gt "$newest_kubernetes_minor" ]; then
        echo "warning: Kubernetes is 1.$server_minor; the chart was tried up to 1.$newest_kubernetes_minor" >&2
    fi
}

# As `helm upgrade` will render it in this cluster, with the kinds of objects that the cluster knows.
render() {
    local kinds
    kinds="$(run_kubectl api-resources --no-headers |
        awk '{ print $(NF-2); print $(NF-2) "/" $NF }' | sort -u | paste -sd,)" || true
    manifest="$(run_helm template "$release" "$chart" ${values[@]+"${values[@]}"} \
        --kube-version "1.$server_minor.0" --api-versions "$kinds")" || die "the chart does not take these values"
}

# Of every rendered object: its kind, with its group as kubectl has it, and its namespace, if it is in one; one a line.
rendered_kinds() {
    awk 'function finish() { if (kind) print kind (group ? "." group : ""), place; group = kind = place = "" }
         /^---/ { finish() }
         /^apiVersion:/ { if (split($2, parts, "/") == 2) group = parts[1] }
         /^kind:/ { kind = tolower($2) }
         /^[^ ]/ { in_metadata = $1 == "metadata:" }
         /^  namespace:/ && in_metadata { place = $2; gsub(/"/, "", place) }
         END { finish() }' <<<"$manifest" | sort -u
}

# Those that objects are put into beside the release's own.
other_namespaces() {
    rendered_kinds | awk -v own="$namespace" 'NF == 2 && $2 != own { print $2 }' | sort -u
}

# The values of a field of the rendered objects, each once.
rendered_values() { # FIELD
    sed -nE "s|^ +(- )?$1: *\"?([^\" ]+)\"? *\$|\2|p" <<<"$manifest" | sort -u
}

# Helm keeps what it has installed in Secrets.
check_rights() {
    local kind place verb
    while read -r kind place; do
        for verb in create patch; do
            may "$verb" "$kind" "$place" ||
                fault "not allowed: $verb $kind in ${place:-the cluster} (ask for a role that has it)"
        done
    done < <(echo "secret $namespace" && rendered_kinds)
    find_health_check >/dev/null || return 0
    while read -r verb kind; do
        may "$verb" "$kind" "$namespace" ||
            fault "not allowed: $verb $kind in $namespace (ask for a role that has it, or --no-health-check)"
    done <<<$'list pods\nget pods/portforward\ncreate pods/portforward'
}

# A right to what is in no namespace is one in all of them: a role within one does not give it.
may() { # VERB KIND[/SUBRESOURCE] [NAMESPACE]
    local options=("--all-namespaces")
    [ -z "${3-}" ] || options=("--namespace=$3")
    [[ $2 != */* ]] || options+=("--subresource=${2#*/}")
    run_kubectl auth can-i "$1" "${2%/*}" "${options[@]}" --quiet 2>/dev/null </dev/null
}

check_namespace() {
    local answer level
    if answer="$(run_kubectl get namespace "$namespace" --output=name --ignore-not-found 2>&1)"; then
        [ -z "$answer" ] || namespace_exists=1
    elif [[ $answer == *Forbidden* ]]; then
        # Who may do all within a namespace often may not look at it.
        namespace_exists=1
        return
    else
        die "the namespace $namespace cannot be asked for: ${answer##*$'\n'}"
    fi
    if [ -z "$namespace_exists" ]; then
        may create namespace || fault "there is no namespace $namespace, and making it is not allowed: have it made"
        return
    fi
    level="$(run_kubectl get namespace "$namespace" \
        --output='jsonpath={.metadata.labels.pod-security\.kubernetes\.io/enforce}')"
    [ "$level" = restricted ] || echo "note: the namespace $namespace does not enforce Pod Security 'restricted'," \
        "which all pods of the chart keep to (label pod-security.kubernetes.io/enforce)" >&2
}

# helm makes none of these.
check_other_namespaces() {
    local other
    for other in $(other_namespaces); do
        finds . namespace "$other" --output=name ||
            fault "there is no namespace $other, which the values put objects into: make it, or name another one"
    done
}

# Whether `kubectl get` answers something like the pattern. What we may not look at is taken to be there, and told.
finds() { # PATTERN ARGUMENT…
    local answer
    if answer="$(run_kubectl get "${@:2}" 2>&1)"; then
        [[ $answer =~ $1 ]]
    elif [[ $answer == *Forbidden* ]]; then
        echo "warning: not allowed to look at any $2: taken to be there" >&2
    else
        return 1
    fi
}

# Only a simulator with sensors that are drawn asks for one.
check_gpus() {
    local class
    [ -n "$(rendered_values 'nvidia\.com/gpu')" ] || return 0
    finds '[1-9]' nodes --output='jsonpath={.items[*].status.allocatable.nvidia\.com/gpu}' ||
        fault "Gazebo asks for a GPU and no node offers nvidia.com/gpu: add GPU nodes and NVIDIA's device plugin, or" \
            "use a simulator of type physics (or --force where nodes are made when they are needed)"
    for class in $(rendered_values runtimeClassName); do
        finds . runtimeclass "$class" --output=name ||
            fault "there is no RuntimeClass $class: NVIDIA's GPU operator makes it, or set another one"
    done
}

check_storage() {
    local class
    for class in $(rendered_values storageClassName); do
        finds . storageclass "$class" --output=name || fault "there is no StorageClass $class: kubectl get storageclass"
    done
    claims_the_default_class || return 0
    finds true storageclass \
        --output='jsonpath={.items[*].metadata.annotations.storageclass\.kubernetes\.io/is-default-class}' ||
        fault "a claim names no StorageClass and the cluster has no default one: name one in the values"
}

# One whose class is "" wants none.
claims_the_default_class() {
    awk 'function finish() { if (claim && !class) found = 1; claim = class = 0 }
         /^---/ { finish() }
         /^kind: PersistentVolumeClaim$/ { claim = 1 }
         /^ +storageClassName:/ { class = 1 }
         END { finish(); exit !found }' <<<"$manifest"
}

# Tells all of them, and ends unless they are to be overlooked.
settle_faults() {
    local one prefix="error"
    [ -z "$force" ] || prefix="warning"
    for one in ${faults[@]+"${faults[@]}"}; do
        echo "$prefix: $one" >&2
    done
    [ -n "$force" ] || [ "${#faults[@]}" -eq 0 ] || exit 1
    faults=()
}

check_everything() {
    check_tools
    # Neither is a fault of the cluster.
    force="" settle_faults
    check_cluster
    render
    check_namespace
    check_other_namespaces
    check_rights
    check_gpus
    check_storage
    settle_faults
}

# Labelled before there is a pod in it.
make_namespace() {
    [ -z "$namespace_exists" ] || return 0
    run_kubectl create --filename=- <<END
apiVersion: v1
kind: Namespace
metadata:
  name: $namespace
  labels:
    pod-security.kubernetes.io/enforce: restricted
    pod-security.kubernetes.io/audit: restricted
    pod-security.kubernetes.io/warn: restricted
END
}

deploy() {
    local rollback="--atomic"
    [ "$helm_major" -eq 3 ] || rollback="--rollback-on-failure"
    make_namespace
    run_helm upgrade --install "$release" "$chart" ${values[@]+"${values[@]}"} \
        "$rollback" --wait --timeout "$timeout" ||
        die "not deployed, and rolled back: kubectl get events --namespace $namespace --sort-by=.lastTimestamp says why"
    print_endpoints
    check_health
}

# The server only checks objects of a namespace that is there.
dry_run() {
    local strategy="server"
    if [ -z "$namespace_exists" ]; then
        strategy="client"
        echo "note: the namespace $namespace is not there yet: objects are held against the schemas alone" >&2
    fi
    # Each object names its namespace; with one of the command line those of others would be refused.
    run_kubectl apply --dry-run="$strategy" --validate=strict --filename=- <<<"$manifest" ||
        die "the cluster would not take it"
    echo "dry run: nothing was changed"
}

print_endpoints() {
    local name kind address ports port
    echo "endpoints:"
    while IFS='|' read -r name kind address ports; do
        [ -n "$name" ] || continue
        [ -n "$address" ] || address="$name.$namespace.svc"
        [ "$kind" != LoadBalancer ] || [[ $address != *.svc ]] || address="$address (no address outside yet)"
        for port in $ports; do
            printf '  %-44s %-12s %-18s %s\n' "$name" "$kind" "$port" "$address"
        done
    done < <(services)
}

services() {
    run_kubectl get services --namespace "$namespace" --selector "app.kubernetes.io/instance=$release" --output="$(
        printf '%s' 'jsonpath=' '{range .items[*]}{.metadata.name}|{.spec.type}|{.status.loadBalancer.ingress[0].ip}' \
            '{.status.loadBalancer.ingress[0].hostname}|' \
            '{range .spec.ports[*]}{.name}:{.port}/{.protocol} {end}{"\n"}{end}'
    )"
}

# Pods are ready by now; the twin finds its robot a little later.
check_health() {
    local program skipped=()
    [ -z "$no_health_check" ] || return 0
    program="$(find_health_check)" || {
        echo "note: health_check is not here: 'make build' makes it" >&2
        return
    }
    # Who has rights in the namespace alone may not.
    may list nodes || {
        echo "note: not allowed to list nodes: health_check leaves them out" >&2
        skipped=(--skip nodes)
    }
    "$program" ${connection[@]+"${connection[@]}"} --namespace "$namespace" --release "$release" \
        ${skipped[@]+"${skipped[@]}"} --wait 60 || die "deployed, and not healthy: the lines above say why"
}

# Where it is, if it is here and wanted.
find_health_check() {
    [ -z "$no_health_check" ] && PATH="$PATH:$root/target/release" type -P health_check
}

uninstall() {
    local claims
    check_tools
    force="" settle_faults
    check_cluster
    run_helm uninstall "$release" --ignore-not-found --wait --timeout "$timeout" || die "not uninstalled"
    claims=(persistentvolumeclaims --namespace "$namespace" --selector "app.kubernetes.io/instance=$release")
    if [ -n "$delete_data" ]; then
        run_kubectl delete "${claims[@]}" --ignore-not-found || die "the data was not deleted"
    elif [ -n "$(run_kubectl get "${claims[@]}" --output=name)" ]; then
        echo "kept: the data, in the claims below (--delete-data deletes it)"
        run_kubectl get "${claims[@]}"
    fi
}

main() {
    parse_arguments "$@"
    if [ "$mode" = uninstall ]; then
        uninstall
        return
    fi
    check_everything
    case "$mode" in
        deploy) deploy ;;
        dry-run) dry_run ;;
    esac
}

main "$@"
