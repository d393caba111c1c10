{{/*
Labels by which a pod is found. They never change. What comes from the values is in quotes, here and everywhere: YAML takes
007, on and 1e5 for something else than names.
*/}}
{{- define "digital-twin.selectorLabels" -}}
app.kubernetes.io/name: digital-twin
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
app.kubernetes.io/component: {{ .component }}
{{- with .robot }}
digital-twin/robot: {{ .name | quote }}
{{- end }}
{{- end -}}

{{/* Of pods: nothing that changes with the chart's version alone, which would make all of them anew. */}}
{{- define "digital-twin.podLabels" -}}
{{ include "digital-twin.selectorLabels" . }}
app.kubernetes.io/part-of: digital-twin
{{- with .root.Values.region }}
digital-twin/region: {{ . | quote }}
{{- end }}
{{- end -}}

{{- define "digital-twin.labels" -}}
{{ include "digital-twin.podLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- end -}}

{{/* nodes, physics or simulation. */}}
{{- define "digital-twin.image" -}}
{{- $images := .root.Values.images -}}
{{- $tag := $images.tag | default .root.Chart.AppVersion -}}
{{- get $images .name | default (printf "%s/%s:%s" $images.registry .name $tag) -}}
{{- end -}}

{{/* Whether Prometheus Operator is there: "true" or nothing. */}}
{{- define "digital-twin.hasOperator" -}}
{{- $operator := toString .Values.monitoring.operator -}}
{{- if or (eq $operator "true") (and (eq $operator "auto") (.Capabilities.APIVersions.Has "monitoring.coreos.com/v1")) -}}
true
{{- end -}}
{{- end -}}

{{/*
Annotations of pods without which nothing scrapes them. The usual rule takes every port of a container unless one is named,
so the core pod, which has no other ports than metrics, names none.
*/}}
{{- define "digital-twin.scrapeAnnotations" -}}
{{- if not (include "digital-twin.hasOperator" .root) -}}
prometheus.io/scrape: "true"
prometheus.io/path: /metrics
{{- with .port }}
prometheus.io/port: {{ . | quote }}
{{- end }}
{{- end -}}
{{- end -}}

{{/* What all pods have: as "restricted" wants it, without a token, and where they are to run. */}}
{{- define "digital-twin.podSettings" -}}
{{- $values := .root.Values -}}
serviceAccountName: digital-twin-sa
automountServiceAccountToken: false
# The addresses of the discovery servers come so.
enableServiceLinks: true
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  fsGroup: 10001
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile: {type: RuntimeDefault}
{{- with $values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . | quote }}
  {{- end }}
{{- end }}
{{- with (get $values.priorityClasses .priority).name }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- include "digital-twin.placement" . }}
{{- end -}}

{{/* Of the values, of a GPU, of the region, and of a volume that only one node can have. */}}
{{- define "digital-twin.placement" -}}
{{- $placement := .placement | default dict -}}
{{- $gpu := .gpu | default dict -}}
{{- $selector := mustMerge (deepCopy ($placement.nodeSelector | default dict)) ($gpu.nodeSelector | default dict) -}}
{{- with .root.Values.region -}}
{{- $_ := set $selector "topology.kubernetes.io/region" . -}}
{{- end -}}
{{- with $selector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with concat ($placement.tolerations | default list) ($gpu.tolerations | default list) }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- $affinity := $placement.affinity | default dict -}}
{{- if .usesData -}}
{{- $affinity = mustMerge (deepCopy $affinity) (include "digital-twin.dataAffinity" .root | fromYaml) -}}
{{- end -}}
{{- with $affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $placement.runtimeClassName | default $gpu.runtimeClassName }}
runtimeClassName: {{ . | quote }}
{{- end }}
topologySpreadConstraints:
  {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    # Better beside another one than not at all.
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "digital-twin.selectorLabels" $.spread | nindent 8 }}
  {{- end }}
{{- end -}}

{{/* A volume of ReadWriteOnce is on one node: so is all that uses it. */}}
{{- define "digital-twin.dataAffinity" -}}
{{- if eq (.Values.persistence.accessModes | join ",") "ReadWriteOnce" -}}
podAffinity:
  requiredDuringSchedulingIgnoredDuringExecution:
    - topologyKey: kubernetes.io/hostname
      labelSelector:
        matchLabels:
          digital-twin/uses: {{ .Values.persistence.claimName | quote }}
{{- end -}}
{{- end -}}

{{- define "digital-twin.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* A file system in memory for what programs keep while they run. */}}
{{- define "digital-twin.tmpVolume" -}}
- name: tmp
  emptyDir: {medium: Memory, sizeLimit: {{ . }}}
{{- end -}}

{{/* Probes of a node of ours: ready within a minute, dead when only a restart helps. */}}
{{- define "digital-twin.nodeProbes" -}}
startupProbe:
  httpGet: {path: /readyz, port: {{ . }}}
  periodSeconds: 1
  timeoutSeconds: 2
  failureThreshold: 60
readinessProbe:
  httpGet: {path: /readyz, port: {{ . }}}
  periodSeconds: 5
  timeoutSeconds: 2
livenessProbe:
  httpGet: {path: /livez, port: {{ . }}}
  periodSeconds: 10
  timeoutSeconds: 5
{{- end -}}

{{/*
A node of ours. `node` is its program, `metrics` and `port` name and number of its port; its parameters are those that it
comes with and then those of the robot's ConfigMap. What are facts about the process are flags.
*/}}
{{- define "digital-twin.nodeContainer" -}}
{{- $share := "/opt/digital_twin_simulation/share/digital_twin_simulation" -}}
name: {{ .node | replace "_" "-" }}
image: {{ include "digital-twin.image" (dict "root" .root "name" "nodes") | quote }}
imagePullPolicy: {{ .root.Values.images.pullPolicy }}
command: [{{ .node }}]
args:
  - --web.listen-address=:{{ .port }}
  - --log.level={{ .root.Values.log.level }}
  - --log.format={{ .root.Values.log.format }}
  - --ros-args
  - --params-file
  - {{ $share }}/config/{{ .node }}.yaml
  - --params-file
  - /etc/digital-twin/{{ .node }}.yaml
  - -r
  - __node:={{ .node }}
  {{- with .robot.rosNamespace }}
  - -r
  - __ns:=/{{ . }}
  {{- end }}
  # Topics that the parameters name from the root are those of this robot: in its namespace.
  {{- range $topic := list "joint_states" "twin/joint_states" "sync_joint_states" "robot_description" "joint_trajectory_commands" }}
  - -r
  - /{{ $topic }}:={{ $topic }}
  {{- end }}
env: {{- include "digital-twin.rosEnvironment" . | nindent 2 }}
ports:
  - {name: {{ .metrics }}, containerPort: {{ .port }}}
  {{- with .ports }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{ include "digital-twin.nodeProbes" .metrics }}
resources: {{- toYaml .resources | nindent 2 }}
securityContext: {{- include "digital-twin.containerSecurity" . | nindent 2 }}
volumeMounts:
  - {name: parameters, mountPath: /etc/digital-twin, readOnly: true}
  - {name: tmp, mountPath: /tmp}
  {{- with .mounts }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end -}}

{{/* Rolls the pods of a robot when the parameters that they read at their start have changed. */}}
{{- define "digital-twin.configChecksum" -}}
{{- $robot := .robot -}}
{{- $all := list -}}
{{- range $node := .nodes -}}
{{- $all = append $all (include "digital-twin.parameters" (dict "robot" $robot "node" $node)) -}}
{{- end -}}
checksum/config: {{ join "\n" $all | sha256sum }}
{{- end -}}
