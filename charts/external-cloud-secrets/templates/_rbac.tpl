{{/* A role and its binding to the operator. Of `kind`, `name`, `namespace` (of a Role) and `rules`. */}}
{{- define "xcs.role" -}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}
metadata:
  name: {{ .name | quote }}
  {{- with .namespace }}
  namespace: {{ . | quote }}
  {{- end }}
  labels:
    {{- include "xcs.labels" .root | nindent 4 }}
rules:
{{ toYaml .rules }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ .kind }}Binding
metadata:
  name: {{ .name | quote }}
  {{- with .namespace }}
  namespace: {{ . | quote }}
  {{- end }}
  labels:
    {{- include "xcs.labels" .root | nindent 4 }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ .kind }}
  name: {{ .name | quote }}
subjects:
- kind: ServiceAccount
  name: {{ include "xcs.serviceAccount" .root | quote }}
  namespace: {{ .root.Release.Namespace | quote }}
{{- end }}

{{/* `rules`, for objects of these `names` only. */}}
{{- define "xcs.named" -}}
{{- $named := list }}
{{- range .rules }}
{{- $named = append $named (merge (dict "resourceNames" $.names) .) }}
{{- end }}
{{- toYaml $named }}
{{- end }}
