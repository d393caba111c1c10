{{/*
The groups of files/rules as this release has them, as YAML: its thresholds, its targets, and of its alerts those that are on.
Thresholds and targets have its namespace: there may be another release with other robots.
*/}}
{{- define "digital-twin.ruleGroups" -}}
{{- $alerts := .Values.monitoring.alerts -}}
{{- $groups := list -}}
{{- $unknown := $alerts.disabled -}}
{{- range $path, $_ := .Files.Glob "files/rules/*.yml" -}}
{{- range $group := ($.Files.Get $path | fromYaml).groups -}}
{{- $rules := list -}}
{{- range $rule := $group.rules -}}
{{- if $rule.alert -}}
{{- $unknown = without $unknown $rule.alert -}}
{{- if $alerts.runbooks -}}
{{- $_ := set $rule.annotations "runbook_url" (printf "%s/%s.md" $alerts.runbooks $rule.alert) -}}
{{- else -}}
{{- $_ := unset $rule.annotations "runbook_url" -}}
{{- end -}}
{{- else if hasSuffix ":threshold" $rule.record -}}
{{- $name := $rule.record | trimPrefix "digital_twin:" | trimSuffix ":threshold" -}}
{{- $_ := set $rule "labels" (dict "namespace" $.Release.Namespace) -}}
{{- if hasKey $alerts.thresholds $name -}}
{{- $_ := set $rule "expr" (printf "vector(%v)" (get $alerts.thresholds $name)) -}}
{{- end -}}
{{- end -}}
{{- if not (has $rule.alert $alerts.disabled) -}}
{{- $rules = append $rules $rule -}}
{{- end -}}
{{- end -}}
{{- $_ := set $group "rules" $rules -}}
{{- if $rules -}}
{{- $groups = append $groups $group -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with $unknown -}}
{{- fail (printf "monitoring.alerts.disabled: there is no alert %s" (join ", " .)) -}}
{{- end -}}
{{- $expected := dict "name" "digital_twin_targets" "rules" (include "digital-twin.expectedTargets" . | fromYamlArray) -}}
{{- toYaml (append $groups $expected) -}}
{{- end -}}

{{/* A series for each node that is to be scraped: absent() tells of nobody whose name it does not know. */}}
{{- define "digital-twin.expectedTargets" -}}
{{- range $robot := include "digital-twin.robots" . | fromYamlArray -}}
{{- range $job := concat (list "ros-metrics-exporter" "synchronization-node" "monitoring-node") (ternary (list "unity-bridge-node") list $robot.unityBridge.enabled) }}
- record: digital_twin:target:expected
  expr: vector(1)
  labels:
    namespace: {{ $.Release.Namespace | quote }}
    robot: {{ $robot.name | quote }}
    job: {{ $job | quote }}
    {{- with $.Values.region }}
    region: {{ . | quote }}
    {{- end }}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Rules look at the last minute, in which there have to be two scrapes: else they never fire, and nobody is told. */}}
{{- define "digital-twin.scrapeInterval" -}}
{{- $interval := .Values.monitoring.interval -}}
{{- if not (regexMatch "^([1-9]|[12][0-9]|30)s$|^[1-9][0-9]{1,3}ms$" $interval) -}}
{{- fail (printf "monitoring.interval: %s is not between 10ms and 30s, as 15s: rules that look at the last minute need two scrapes in it" $interval) -}}
{{- end -}}
{{- $interval -}}
{{- end -}}
