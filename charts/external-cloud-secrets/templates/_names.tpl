{{- define "xcs.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimAll "-." }}
{{- end }}

{{/* The name of all objects; short enough for what is appended to it. */}}
{{- define "xcs.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 45 | trimAll "-." }}
{{- else if contains (include "xcs.name" .) .Release.Name }}
{{- .Release.Name | trunc 45 | trimAll "-." }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "xcs.name" .) | trunc 45 | trimAll "-." }}
{{- end }}
{{- end }}

{{- define "xcs.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}
{{- default (include "xcs.fullname" .) .Values.serviceAccount.name }}
{{- else }}
{{- .Values.serviceAccount.name }}
{{- end }}
{{- end }}

{{- define "xcs.user" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "xcs.serviceAccount" . }}
{{- end }}

{{/* The Lease whose holder leads: one for each class. */}}
{{- define "xcs.lease" -}}
external-cloud-secrets{{ with .Values.controllerClass }}-{{ . }}{{ end }}
{{- end }}

{{- define "xcs.selectorLabels" -}}
app.kubernetes.io/name: {{ include "xcs.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{- define "xcs.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimAll "-." }}
{{ include "xcs.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "xcs.image" -}}
{{- with .Values.image }}
{{- if .digest }}
{{- printf "%s@%s" .repository .digest }}
{{- else }}
{{- printf "%s:%s" .repository (default $.Chart.AppVersion .tag) }}
{{- end }}
{{- end }}
{{- end }}
