//! Single reads in the place of a batch.

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt, stream};

use super::Kms;
use crate::credential::Credentials;
use crate::provider::{Answer, CallError, Class, RemoteKey};

/// How many single reads run at a time where a batch has to be read singly.
const SINGLES: usize = 4;

// === impl Kms ===

impl Kms {
    /// Reads singly what a batch was denied, unless a single read of the first is denied as well.
    pub(super) async fn second_opinion(
        &self,
        credentials: &Credentials,
        keys: &[RemoteKey],
        mut answers: Vec<Answer>,
    ) -> Result<Vec<Answer>, CallError> {
        let denied = |answer: &Answer| matches!(answer, Err(e) if e.class == Class::Denied);
        let all: Vec<usize> = (0..keys.len()).filter(|i| denied(&answers[*i])).collect();
        let Some((first, rest)) = all.split_first() else {
            self.support().worked();
            return Ok(answers);
        };
        let Ok(fetched) = self.one(credentials, &keys[*first]).await else {
            return Ok(answers);
        };
        answers[*first] = Ok(fetched);
        if all.len() == keys.len() {
            self.support().refused(self.edge.clock.now());
        }
        let again: Vec<RemoteKey> = rest.iter().map(|i| keys[*i].clone()).collect();
        if !again.is_empty() {
            let read = self.singly(credentials, &again).await?;
            for (i, answer) in rest.iter().zip(read) {
                answers[*i] = answer;
            }
        }
        Ok(answers)
    }

    /// Reads each key singly. When all fail for one reason that no key is to blame for, the whole
    /// failed; so it does when the credentials are refused.
    pub(super) async fn singly(
        &self,
        credentials: &Credentials,
        keys: &[RemoteKey],
    ) -> Result<Vec<Answer>, CallError> {
        let read = |key| self.one(credentials, key).boxed();
        let reads: Vec<BoxFuture<'_, Answer>> = keys.iter().map(read).collect();
        let answers: Vec<Answer> = stream::iter(reads).buffered(SINGLES).collect().await;
        let failed = |class: Class| {
            move |answer: &&Answer| answer.as_ref().is_err_and(|error| error.class == class)
        };
        if let Some(Err(error)) = answers.iter().find(failed(Class::Unauthenticated)) {
            return Err(error.clone());
        }
        for class in [Class::Throttled, Class::Unavailable, Class::Protocol] {
            if answers.iter().all(|answer| failed(class)(&answer))
                && let Some(Err(error)) = answers.first()
            {
                return Err(error.clone());
            }
        }
        Ok(answers)
    }
}
