{{/* A policy that denies, and its binding. Of `name`, `spec` (YAML: what it matches and asks for). */}}
{{- define "xcs.policy" -}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: {{ .name | quote }}
  labels:
    {{- include "xcs.labels" .root | nindent 4 }}
spec:
  failurePolicy: Fail
{{ .spec | trim | indent 2 }}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ .name | quote }}
  labels:
    {{- include "xcs.labels" .root | nindent 4 }}
spec:
  policyName: {{ .name | quote }}
  validationActions: [Deny]
{{- end }}

{{- define "xcs.tokenPolicy" -}}
matchConstraints:
  resourceRules:
  - apiGroups: [""]
    apiVersions: [v1]
    operations: [CREATE]
    resources: [serviceaccounts/token]
matchConditions:
- name: operator
  expression: request.userInfo.username == {{ include "xcs.user" . | squote }}
validations:
- expression: has(object.spec.audiences) && size(object.spec.audiences) > 0 && object.spec.audiences.all(audience, audience in {{ .Values.allowedTokenAudiences | toJson }})
  message: the operator makes tokens for the audiences of allowedTokenAudiences only
- expression: has(object.spec.expirationSeconds) && object.spec.expirationSeconds <= 600
  message: the operator makes tokens for at most 600 seconds
{{- end }}

{{- define "xcs.secretPolicy" -}}
matchConstraints:
  resourceRules:
  - apiGroups: [""]
    apiVersions: [v1]
    operations: [CREATE, UPDATE, DELETE]
    resources: [secrets]
matchConditions:
- name: operator
  expression: request.userInfo.username == {{ include "xcs.user" . | squote }}
variables:
- name: secret
  expression: 'request.operation == "DELETE" ? oldObject : object'
validations:
- expression: '!(variables.secret.type in ["kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token"]) && !variables.secret.type.startsWith("helm.sh/")'
  message: the operator writes no credentials of the cluster and no releases of Helm
- expression: request.namespace != {{ .Release.Namespace | squote }} || (request.operation == 'CREATE' && variables.secret.metadata.name == 'external-cloud-secrets-digest-key')
  message: in its own namespace the operator makes its digest key and writes nothing else
- expression: request.operation != 'DELETE' || (has(oldObject.metadata.labels) && 'cloudsecrets.dev/managed' in oldObject.metadata.labels && oldObject.metadata.labels['cloudsecrets.dev/managed'] == 'true')
  message: 'the operator deletes only Secrets with the label cloudsecrets.dev/managed: "true"'
{{- end }}

{{- define "xcs.protectPolicy" -}}
matchConstraints:
  resourceRules:
  - apiGroups: [""]
    apiVersions: [v1]
    operations: [DELETE]
    resources: [secrets]
matchConditions:
- name: managed
  expression: has(oldObject.metadata.labels) && 'cloudsecrets.dev/managed' in oldObject.metadata.labels && oldObject.metadata.labels['cloudsecrets.dev/managed'] == 'true'
{{- /* Anybody may give a Secret the label; only what goes with its owner is kept from going otherwise. */}}
- name: owned
  expression: has(oldObject.metadata.ownerReferences) && oldObject.metadata.ownerReferences.exists(owner, has(owner.controller) && owner.controller && owner.kind == 'ExternalCloudSecret' && owner.apiVersion.startsWith('cloudsecrets.dev/'))
{{- with .Values.watchNamespaces }}
- name: served
  expression: request.namespace in {{ toJson . }}
{{- end }}
validations:
{{- /* Controllers without accounts of their own act as the last of these three. */}}
{{- $others := list "system:serviceaccount:kube-system:generic-garbage-collector" "system:serviceaccount:kube-system:namespace-controller" "system:kube-controller-manager" }}
{{- $users := concat (list (include "xcs.user" .)) $others (default list .Values.admissionPolicies.mayDelete) }}
- expression: {{ printf "request.userInfo.username in %s" (toJson $users) | toJson }}
  message: an ExternalCloudSecret owns this Secret; delete that, or its namespace
{{- end }}
