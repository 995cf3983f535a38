//! One suite that every provider passes against its simulator, and the same for identities.

#![allow(clippy::unwrap_used, clippy::panic)]

mod chain;
mod identity;
mod kms;
mod kms_secrets;
mod machine;
mod oos;
mod policy;
mod quiet;
mod ssm;
mod ssm_secrets;
mod subject;
mod suite;
mod tencent_identity;
mod tencent_machine;

#[allow(dead_code, reason = "more than is used here")]
#[path = "../pages/mod.rs"]
mod pages;

/// Makes one test of each rule of the suite for a subject.
macro_rules! conformance {
    ($start:path: $($rule:ident)*) => {
        $(
            #[tokio::test]
            async fn $rule() {
                crate::suite::$rule(&$start().await).await;
            }
        )*
    };
}

/// OOS Parameter Store against `cloudsim`.
mod oos_passes {
    conformance! { crate::oos::OosSubject::start:
        a_single_value_arrives_with_its_version
        values_arrive_byte_for_byte
        a_batch_answers_in_the_order_of_the_question
        a_full_batch_is_one_call
        what_is_missing_among_many_harms_no_neighbour
        a_single_missing_key_is_not_found
        a_forbidden_name_refuses_the_batch_and_blames_nobody
        an_older_version_can_be_read
        a_version_that_is_not_there_is_an_error
        a_name_that_is_not_mentioned_is_an_error_of_its_own
        an_empty_value_is_an_error_of_its_own
        unreadable_answers_are_protocol_errors
        outages_are_unavailable
        throttling_carries_the_hint
        a_redirect_is_not_followed
        credentials_that_the_cloud_refuses_are_unauthenticated
        a_check_tells_good_credentials_from_bad
        no_keys_are_no_call
    }
}

/// Makes the tests of one KMS gateway.
macro_rules! kms_passes {
    ($start:path) => {
        conformance! { $start:
            a_single_value_arrives_with_its_version
            values_arrive_byte_for_byte
            a_batch_answers_in_the_order_of_the_question
            a_full_batch_is_one_call
            what_is_missing_among_many_harms_no_neighbour
            a_single_missing_key_is_not_found
            a_forbidden_name_harms_no_neighbour
            an_older_version_can_be_read
            a_version_that_is_not_there_is_an_error
            a_name_that_is_not_mentioned_is_an_error_of_its_own
            an_empty_value_is_an_error_of_its_own
            unreadable_answers_are_protocol_errors
            outages_are_unavailable
            throttling_carries_the_hint
            a_redirect_is_not_followed
            credentials_that_the_cloud_refuses_are_unauthenticated
            a_check_tells_good_credentials_from_bad
            no_keys_are_no_call
        }
    };
}

/// The shared gateway of KMS, with its batch call.
mod kms_passes {
    kms_passes! { crate::kms::KmsSubject::shared }
}

/// The shared gateway of KMS, where the batch call is not known.
mod kms_without_batches_passes {
    kms_passes! { crate::kms::KmsSubject::without_batches }
}

/// A dedicated instance of KMS, behind its own authority.
mod kms_instance_passes {
    kms_passes! { crate::kms::KmsSubject::instance }
}

/// A dedicated instance of KMS, whose batch call proves itself.
mod kms_instance_with_batches_passes {
    kms_passes! { crate::kms::KmsSubject::instance_with_batches }
}

/// SSM, whose secrets have versions that people name: the newest is read.
mod ssm_passes {
    conformance! { crate::ssm::SsmSubject::custom:
        a_single_value_arrives_with_its_version
        values_arrive_byte_for_byte
        a_batch_answers_in_the_order_of_the_question
        what_is_missing_among_many_harms_no_neighbour
        a_single_missing_key_is_not_found
        a_forbidden_name_harms_no_neighbour
        an_older_version_can_be_read
        a_version_that_is_not_there_is_an_error
        a_name_that_is_not_mentioned_is_an_error_of_its_own
        an_empty_value_is_an_error_of_its_own
        unreadable_answers_are_protocol_errors
        outages_are_unavailable
        throttling_without_a_hint_is_throttling
        a_redirect_is_not_followed
        credentials_that_the_cloud_refuses_are_unauthenticated
        a_check_tells_good_credentials_from_bad
        no_keys_are_no_call
    }
}

/// SSM, whose secrets it rotates itself: what is current is read, by one call.
mod ssm_with_managed_secrets_passes {
    conformance! { crate::ssm::SsmSubject::managed:
        values_arrive_byte_for_byte
        a_batch_answers_in_the_order_of_the_question
        a_full_batch_is_one_call
        what_is_missing_among_many_harms_no_neighbour
        a_single_missing_key_is_not_found
        a_forbidden_name_harms_no_neighbour
        a_version_that_is_not_there_is_an_error
        a_name_that_is_not_mentioned_is_an_error_of_its_own
        an_empty_value_is_an_error_of_its_own
        unreadable_answers_are_protocol_errors
        outages_are_unavailable
        throttling_without_a_hint_is_throttling
        a_redirect_is_not_followed
        credentials_that_the_cloud_refuses_are_unauthenticated
        a_check_tells_good_credentials_from_bad
        no_keys_are_no_call
    }
}
