{{- define "xcs.args" -}}
- run
- {{ printf "--http-address=[::]:%d" (int64 .Values.httpPort) | quote }}
{{- with .Values }}
- {{ printf "--allowed-token-audiences=%s" (join "," .allowedTokenAudiences) | quote }}
- --cluster-stores={{ .clusterStores }}
- --store-ambient-credentials={{ .storeAmbientCredentials }}
- --cluster-store-ambient-credentials={{ .clusterStoreAmbientCredentials }}
{{- if .enableInstanceRole }}
- --enable-instance-role
{{- end }}
- --quota-share={{ .quotaShare }}
- --value-memory={{ .valueMemory }}
- --log-format={{ .log.format }}
{{- with .clusterName }}
- {{ printf "--cluster-name=%s" . | quote }}
{{- end }}
{{- with .watchNamespaces }}
- {{ printf "--watch-namespaces=%s" (join "," .) | quote }}
{{- end }}
{{- with .controllerClass }}
- {{ printf "--controller-class=%s" . | quote }}
{{- end }}
{{- with .allowedEndpointSuffixes }}
- {{ printf "--allowed-endpoint-suffixes=%s" (join "," .) | quote }}
{{- end }}
{{- with .alibabaAccountId }}
- {{ printf "--alibaba-account-id=%s" . | quote }}
{{- end }}
{{- with .ackClusterId }}
- {{ printf "--ack-cluster-id=%s" . | quote }}
{{- end }}
{{- with .extraArgs }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end }}

{{- define "xcs.env" -}}
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
- name: RUST_LOG
  value: {{ .Values.log.level }}
{{- with .Values.proxy }}
{{- $variables := list (list "HTTP_PROXY" .http) (list "HTTPS_PROXY" .https) (list "NO_PROXY" .noProxy) }}
{{- range $variables }}
{{- if last . }}
- name: {{ first . }}
  value: {{ last . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.identity.rrsa }}
{{- if and .enabled (not .webhook) }}
{{- range list (list "ALIBABA_CLOUD_ROLE_ARN" .roleArn) (list "ALIBABA_CLOUD_OIDC_PROVIDER_ARN" .oidcProviderArn) }}
{{- if last . }}
- name: {{ first . }}
  value: {{ last . | quote }}
{{- end }}
{{- end }}
- name: ALIBABA_CLOUD_OIDC_TOKEN_FILE
  value: /var/run/secrets/ack.alibabacloud.com/rrsa-tokens/token
{{- end }}
{{- end }}
{{- with .Values.identity.tke }}
{{- if .enabled }}
{{- range list (list "TKE_REGION" .region) (list "TKE_PROVIDER_ID" .providerId) (list "TKE_ROLE_ARN" .roleArn) }}
{{- if last . }}
- name: {{ first . }}
  value: {{ last . | quote }}
{{- end }}
{{- end }}
- name: TKE_WEB_IDENTITY_TOKEN_FILE
  value: /var/run/secrets/cloud.tencent.com/serviceaccount/token
{{- end }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Tokens of the operator's own identity: name, audience and folder of each. */}}
{{- define "xcs.tokens" -}}
{{- $tokens := list }}
{{- if and .Values.identity.rrsa.enabled (not .Values.identity.rrsa.webhook) }}
{{- $tokens = append $tokens (dict "name" "rrsa-token" "audience" "sts.aliyuncs.com" "folder" "/var/run/secrets/ack.alibabacloud.com/rrsa-tokens") }}
{{- end }}
{{- if .Values.identity.tke.enabled }}
{{- $tokens = append $tokens (dict "name" "tke-token" "audience" "sts.cloud.tencent.com" "folder" "/var/run/secrets/cloud.tencent.com/serviceaccount") }}
{{- end }}
{{- toYaml $tokens }}
{{- end }}

{{- define "xcs.volumes" -}}
{{- range include "xcs.tokens" . | fromYamlArray }}
- name: {{ .name }}
  projected:
    sources:
    - serviceAccountToken:
        audience: {{ .audience }}
        expirationSeconds: 3600
        path: token
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "xcs.volumeMounts" -}}
{{- range include "xcs.tokens" . | fromYamlArray }}
- name: {{ .name }}
  mountPath: {{ .folder }}
  readOnly: true
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}
