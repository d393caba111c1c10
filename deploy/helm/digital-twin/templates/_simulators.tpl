{{/*
A robot in physics_twin.py. `namespace` is its ROS namespace; `flags` are those of its own; `differences` are flags too, by
names such as frictionScale.
*/}}
{{- define "digital-twin.physicsContainer" -}}
name: physics
image: {{ .image | default (include "digital-twin.image" (dict "root" .root "name" "physics")) | quote }}
imagePullPolicy: {{ .root.Values.images.pullPolicy }}
command: [physics_twin.py]
args:
  {{- with .namespace }}
  - --namespace={{ . }}
  {{- end }}
  {{- with .model }}
  - {{ printf "--model=%s" . | quote }}
  {{- end }}
  # Nothing else describes it here.
  - --publish-description
  {{- range .flags }}
  - {{ . }}
  {{- end }}
  {{- /* As JSON: else a large number would be written with an exponent. */}}
  {{- range $name, $value := .differences }}
  - --{{ kebabcase $name }}={{ toJson $value }}
  {{- end }}
  - --alive-file=/tmp/alive
  - --ros-args
  - --log-level
  - {{ .root.Values.log.level }}
env: {{- include "digital-twin.rosEnvironment" . | nindent 2 }}
startupProbe:
  exec: {command: &alive [physics_probe.sh, /tmp/alive]}
  periodSeconds: 1
  timeoutSeconds: 5
  failureThreshold: 60
readinessProbe:
  exec: {command: *alive}
  periodSeconds: 5
  timeoutSeconds: 5
livenessProbe:
  exec: {command: *alive}
  periodSeconds: 10
  timeoutSeconds: 5
resources: {{- toYaml .resources | nindent 2 }}
securityContext: {{- include "digital-twin.containerSecurity" . | nindent 2 }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
{{- end -}}

{{/* Gazebo with the twin and its controllers, as launch/digital_twin_complete.launch.py has them, without the nodes. */}}
{{- define "digital-twin.gazeboContainer" -}}
{{- $simulator := .robot.simulator -}}
name: gazebo
image: {{ $simulator.image | default (include "digital-twin.image" (dict "root" .root "name" "simulation")) | quote }}
imagePullPolicy: {{ .root.Values.images.pullPolicy }}
command: [ros2, launch, digital_twin_simulation, digital_twin_complete.launch.py]
args:
  - simulator:=gazebo
  {{- with .robot.rosNamespace }}
  - namespace:={{ . }}
  {{- end }}
  - headless:=true
  - gpu:={{ $simulator.gpu.enabled }}
  {{- with $simulator.world }}
  - {{ printf "world:=%s" . | quote }}
  {{- end }}
  {{- with $simulator.model }}
  - {{ printf "robot_description_path:=%s" . | quote }}
  {{- end }}
  # The nodes are in a pod of their own.
  - synchronization:=false
  - monitoring:=false
  - unity:=false
  - log_level:={{ .root.Values.log.level }}
env:
  {{- include "digital-twin.rosEnvironment" . | nindent 2 }}
  # Gazebo's own transport stays in the pod.
  - {name: GZ_IP, value: 127.0.0.1}
  {{- if $simulator.gpu.enabled }}
  - {name: NVIDIA_DRIVER_CAPABILITIES, value: "compute,graphics,utility"}
  {{- end }}
# Whether simulated time goes on, asked of Gazebo itself: it must not die of a discovery server's death.
startupProbe:
  exec: {command: &clock [timeout, "10", gz, topic, --echo, --num, "1", --topic, /clock]}
  periodSeconds: 5
  timeoutSeconds: 15
  # A large world is loaded for minutes where it comes over a network.
  failureThreshold: 60
readinessProbe:
  exec: {command: *clock}
  periodSeconds: 15
  timeoutSeconds: 15
livenessProbe:
  exec: {command: *clock}
  periodSeconds: 30
  timeoutSeconds: 15
resources: {{- include "digital-twin.gazeboResources" $simulator | nindent 2 }}
securityContext: {{- include "digital-twin.containerSecurity" . | nindent 2 }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
{{- end -}}

{{- define "digital-twin.gazeboResources" -}}
{{- $usual := dict "requests" (dict "cpu" "2" "memory" "4Gi") "limits" (dict "cpu" "4" "memory" "8Gi") -}}
{{- $resources := deepCopy (.resources | default $usual) -}}
{{- if .gpu.enabled -}}
{{- $_ := set $resources "limits" (set ($resources.limits | default dict) .gpu.resource (.gpu.count | int)) -}}
{{- end -}}
{{- toYaml $resources -}}
{{- end -}}

{{- define "digital-twin.physicsResources" -}}
{{- $usual := dict "requests" (dict "cpu" "500m" "memory" "256Mi") "limits" (dict "cpu" "2" "memory" "512Mi") -}}
{{- toYaml (.resources | default $usual) -}}
{{- end -}}
