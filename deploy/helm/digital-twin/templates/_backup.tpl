{{/* When the Job of a backup or a restore ends, and when it goes. */}}
{{- define "digital-twin.backupJob" -}}
backoffLimit: 2
activeDeadlineSeconds: {{ .Values.backup.deadlineSeconds | int }}
# A week: until then its log says why it failed.
ttlSecondsAfterFinished: 604800
{{- end -}}

{{/* The pod of a backup or a restore. `script` is what it runs, `environment` its variables, `readOnly` whether it only reads the data. */}}
{{- define "digital-twin.backupPod" -}}
{{- $backup := .root.Values.backup -}}
{{- $its := dict "root" .root "component" "backup" -}}
metadata:
  labels: {{- include "digital-twin.labels" $its | nindent 4 }}
    digital-twin/uses: {{ .root.Values.persistence.claimName | quote }}
  {{- with .root.Values.podAnnotations }}
  annotations: {{- toYaml . | nindent 4 }}
  {{- end }}
spec:
  {{- include "digital-twin.podSettings" (dict "root" .root "priority" "auxiliary" "placement" $backup.placement "usesData" true "spread" $its) | nindent 2 }}
  restartPolicy: Never
  # restic gives its lock back.
  terminationGracePeriodSeconds: 60
  containers:
    - name: restic
      image: {{ $backup.image | quote }}
      imagePullPolicy: {{ .root.Values.images.pullPolicy }}
      command: [/bin/sh, /etc/backup/{{ .script }}]
      env:
        {{- range $name, $value := .environment }}
        - {name: {{ $name }}, value: {{ $value | toString | quote }}}
        {{- end }}
        - {name: SIMULATION_DATA, value: /opt/simulation_data}
        - {name: BACKUP_HOST, value: {{ .root.Release.Namespace | quote }}}
        - {name: S3_BUCKET, value: {{ $backup.s3.bucket | quote }}}
        - {name: S3_PREFIX, value: {{ $backup.s3.prefix | default .root.Release.Namespace | quote }}}
        {{- with $backup.s3.region }}
        - {name: AWS_DEFAULT_REGION, value: {{ . | quote }}}
        {{- end }}
        {{- range $name, $key := dict "S3_ENDPOINT" "endpoint" "AWS_ACCESS_KEY_ID" "access_key" "AWS_SECRET_ACCESS_KEY" "secret_key" "RESTIC_PASSWORD" "restic_password" }}
        - name: {{ $name }}
          valueFrom:
            secretKeyRef: {name: {{ $backup.s3.secretName | quote }}, key: {{ $key }}}
        {{- end }}
        - {name: HOME, value: /tmp}
      resources: {{- toYaml $backup.resources | nindent 8 }}
      securityContext: {{- include "digital-twin.containerSecurity" . | nindent 8 }}
      volumeMounts:
        - {name: scripts, mountPath: /etc/backup, readOnly: true}
        - {name: simulation-data, mountPath: /opt/simulation_data, readOnly: {{ .readOnly }}}
        - {name: tmp, mountPath: /tmp}
  volumes:
    - name: scripts
      configMap: {name: digital-twin-backup}
    - name: simulation-data
      persistentVolumeClaim: {claimName: {{ .root.Values.persistence.claimName | quote }}}
    # Packs before they are sent; counted against the limit.
    {{- include "digital-twin.tmpVolume" "512Mi" | nindent 4 }}
{{- end -}}
