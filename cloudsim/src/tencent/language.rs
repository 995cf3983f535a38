//! The language of messages: Chinese, unless English is asked for.

/// What a refusal says in Chinese, by the beginning of its code.
const CHINESE: [(&str, &str); 12] = [
    ("AuthFailure", "CAM签名/鉴权错误。"),
    ("UnauthorizedOperation", "未授权操作。"),
    ("RequestLimitExceeded", "请求的次数超过了频率限制。"),
    ("LimitExceeded", "超过配额限制。"),
    ("MissingParameter", "缺少参数错误。"),
    ("InvalidParameter", "参数错误。"),
    ("UnknownParameter", "未知参数错误。"),
    ("ResourceNotFound", "资源不存在。"),
    ("ResourceUnavailable", "资源不可用。"),
    ("ResourceInUse", "资源被占用。"),
    ("UnsupportedRegion", "接口不支持所传地域。"),
    ("InternalError", "内部错误。"),
];

/// The message of a refusal in the language that a request asks for with `X-TC-Language`.
pub(super) fn message(asked: Option<&str>, code: &str, english: &str) -> String {
    if asked == Some("en-US") {
        return english.to_owned();
    }
    let found = CHINESE.iter().find(|(begins, _)| code.starts_with(begins));
    found.map_or("操作失败。", |(_, text)| text).to_owned()
}
