{{/* The robots as they are meant: each with what robotDefaults says and it does not. A list, as YAML. */}}
{{- define "digital-twin.robots" -}}
{{- include "digital-twin.checkRobots" . -}}
{{- $defaults := .Values.robotDefaults -}}
{{- $robots := list -}}
{{- range .Values.robots -}}
{{- $robots = append $robots (mustMergeOverwrite (deepCopy $defaults) .) -}}
{{- end -}}
{{- toYaml $robots -}}
{{- end -}}

{{/* What a schema cannot say: no two robots are one to Kubernetes, or to ROS. */}}
{{- define "digital-twin.checkRobots" -}}
{{- $defaults := .Values.robotDefaults -}}
{{- $places := dict -}}
{{- range $index, $given := .Values.robots -}}
{{- $robot := mustMergeOverwrite (deepCopy $defaults) $given -}}
{{- $here := printf "robots[%d] (%s)" $index $robot.name -}}
{{- $names := list (printf "name %s" $robot.name) -}}
{{- range $namespace := list $robot.rosNamespace (include "digital-twin.twinNamespace" $robot) -}}
{{- $names = append $names (printf "domainId %v and ROS namespace /%s" $robot.domainId $namespace) -}}
{{- end -}}
{{- range $what := $names -}}
{{- with get $places $what -}}
{{- fail (printf "%s has the %s of %s: robots differ in their name, and in domainId or rosNamespace" $here $what .) -}}
{{- end -}}
{{- $_ := set $places $what $here -}}
{{- end -}}
{{- if gt (int $robot.unityBridge.autoscaling.minReplicas) (int $robot.unityBridge.autoscaling.maxReplicas) -}}
{{- fail (printf "%s: unityBridge.autoscaling.minReplicas is above maxReplicas" $here) -}}
{{- end -}}
{{- if and $robot.recording.enabled (not $.Values.persistence.enabled) -}}
{{- fail (printf "%s is recorded, and there is no volume to record to: set persistence.enabled" $here) -}}
{{- end -}}
{{- if and (ne $robot.unityBridge.service.type "ClusterIP") (not $robot.unityBridge.service.sourceRanges) -}}
{{- fail (printf "%s: unityBridge.service.sourceRanges names nobody, and without it the %s lets in everybody" $here $robot.unityBridge.service.type) -}}
{{- end -}}
{{- if and $robot.externalCidrs (eq $robot.robot "physics") -}}
{{- fail (printf "%s has externalCidrs, and robot: physics is in the cluster" $here) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The ROS namespace of the twin: twin, or robot1/twin. */}}
{{- define "digital-twin.twinNamespace" -}}
{{- printf "%s/twin" .rosNamespace | trimPrefix "/" -}}
{{- end -}}

{{/* measure, follow or commands. */}}
{{- define "digital-twin.syncMode" -}}
{{- .synchronization.mode | default (ternary "measure" "follow" (eq .simulator.type "none")) -}}
{{- end -}}

{{/* DDSI-RTPS 2.5, 9.6.2: a domain has 250 UDP ports from here on. */}}
{{- define "digital-twin.firstDdsPort" -}}
{{- add 7400 (mul 250 (int .domainId)) -}}
{{- end -}}

{{- define "digital-twin.discoveryName" -}}
{{- printf "digital-twin-discovery-%s-%v" .robot.name .server -}}
{{- end -}}

{{/* As ROS_DISCOVERY_SERVER wants them, in the order of their ids: by name, for who can be sure that it resolves. */}}
{{- define "digital-twin.discoveryNames" -}}
{{- $addresses := list -}}
{{- range $server := list 0 1 -}}
{{- $name := include "digital-twin.discoveryName" (dict "robot" $.robot "server" $server) -}}
{{- $addresses = append $addresses (printf "%s.%s.svc:11811" $name $.root.Release.Namespace) -}}
{{- end -}}
{{- join ";" $addresses -}}
{{- end -}}

{{/* The address of a discovery server's Service, in the variable that Kubernetes sets in each pod of the namespace. */}}
{{- define "digital-twin.discoveryHost" -}}
{{- printf "$(%s_SERVICE_HOST)" (include "digital-twin.discoveryName" . | upper | replace "-" "_") -}}
{{- end -}}

{{/*
What joins a container to the robot's ROS graph. By addresses: a name that does not resolve at the start would leave a
program that is not one of ours without discovery for ever.
*/}}
{{- define "digital-twin.rosEnvironment" -}}
{{- $first := include "digital-twin.discoveryHost" (dict "robot" .robot "server" 0) -}}
{{- $second := include "digital-twin.discoveryHost" (dict "robot" .robot "server" 1) -}}
- {name: ROS_DOMAIN_ID, value: {{ .robot.domainId | int | quote }}}
- {name: ROS_DISCOVERY_SERVER, value: {{ printf "%s:11811;%s:11811" $first $second | quote }}}
- {name: FASTDDS_BUILTIN_TRANSPORTS, value: UDPv4}
{{- if .seesGraph }}
# A discovery server tells others only of topics that they have themselves.
- {name: ROS_SUPER_CLIENT, value: "TRUE"}
{{- end }}
{{- end -}}

{{/* The parameters of a node: what the chart knows, then what the values say, which goes before it. */}}
{{- define "digital-twin.parameters" -}}
{{- $robot := .robot -}}
{{- $known := dict "use_sim_time" $robot.useSimTime -}}
{{- $given := dict -}}
{{- if eq .node "ros_metrics_exporter" -}}
{{- $_ := set $known "topics" (list "joint_states" "twin/joint_states") -}}
{{- $given = $robot.exporter.parameters -}}
{{- else if eq .node "synchronization_node" -}}
{{- $known = mustMerge $known (include "digital-twin.modeParameters" $robot | fromYaml) -}}
{{- $given = $robot.synchronization.parameters -}}
{{- else if eq .node "monitoring_node" -}}
{{- $given = $robot.monitoring.parameters -}}
{{- else -}}
{{- $_ := set $known "tcp_address" "0.0.0.0" -}}
{{- if $robot.unityBridge.tlsSecretName -}}
{{- $_ := set $known "tls_certificate" "/etc/unity-tls/tls.crt" -}}
{{- $_ := set $known "tls_key" "/etc/unity-tls/tls.key" -}}
{{- end -}}
{{- $given = $robot.unityBridge.parameters -}}
{{- end -}}
{{- dict (printf "/**/%s" .node) (dict "ros__parameters" (mustMergeOverwrite $known $given)) | toYaml -}}
{{- end -}}

{{/* What a mode is to synchronization_node, as launch/digital_twin_complete.launch.py has it. */}}
{{- define "digital-twin.modeParameters" -}}
{{- $mode := include "digital-twin.syncMode" . -}}
output_mode: {{ ternary "none" "trajectory" (eq $mode "measure") }}
{{- if eq $mode "commands" }}
forward_commands: true
{{- end }}
{{- if eq .simulator.type "gazebo" }}
command_topic: twin/humanoid_joint_trajectory_controller/joint_trajectory
{{- else if eq .simulator.type "physics" }}
command_topic: twin/joint_trajectory_commands
{{- end }}
{{- end -}}
