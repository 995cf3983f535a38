//! The certificate authorities of dedicated KMS instances, by region, as the vendor publishes them.
//!
//! Where they come from is in the folder's `README.md`.

use crate::http::Authority;
use crate::provider::ConfigError;

/// One region's chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chain {
    /// The region.
    pub region: &'static str,
    /// The certificates, the root first.
    pub pem: &'static str,
    /// When the first of them expires.
    pub expiry: &'static str,
    /// The SHA-256 of the file.
    pub sha256: &'static str,
}

/// A row of the table.
macro_rules! chain {
    ($region:literal, $expiry:literal, $sha256:literal) => {
        Chain {
            region: $region,
            pem: include_str!(concat!("ca/", $region, ".pem")),
            expiry: $expiry,
            sha256: $sha256,
        }
    };
}

/// Every region whose chain is known.
#[rustfmt::skip]
pub const CHAINS: &[Chain] = &[
    chain!("ap-northeast-1", "2041-07-03T06:55:29Z", "adc2e01436657391ea618c38e780c0dbc63606c8a114b9777998575049616d0f"),
    chain!("ap-southeast-1", "2041-07-03T06:55:29Z", "d8998af7ebabc3057700ee227f5e9ff30e33c4884ad784c7b796023a61e19a31"),
    chain!("ap-southeast-3", "2041-07-03T06:55:29Z", "d6e187bdd87c43c3f11fe4b8e6c31da20c7e7428614b0d65d4efd75e9f9a283b"),
    chain!("ap-southeast-5", "2041-07-03T06:55:29Z", "3705ca193179076514eaa5265961c401d91cfddaa4bfb0123cac1951e1a7493f"),
    chain!("ap-southeast-6", "2041-07-03T06:55:29Z", "291eff0adbb4c36a246fd945205a2cdb1a7439b9cd450f6ff249c4868793c081"),
    chain!("ap-southeast-7", "2041-07-03T06:55:29Z", "0a5fa52349aae37703b4ab782008405649e2fcfc303508af67cf8e90034ee61a"),
    chain!("cn-beijing", "2041-07-03T06:55:29Z", "a98bc7090bd9a32f65791c4b58fc9ab6665742166474d6c3fa5487c549fd9381"),
    chain!("cn-beijing-finance-1", "2041-07-03T06:55:29Z", "8101179f022a1bac5cc7c0e0f35476115655f569e95485b381014df8ef152d7d"),
    chain!("cn-chengdu", "2041-07-03T06:55:29Z", "1859ce16f200c3516281a87fec5179f54449664c2bd595684e6933397a9ccba8"),
    chain!("cn-guangzhou", "2041-07-03T06:55:29Z", "df0a2344bcbce70f6591f214cb451c76d0cd9fa0316dcb9f0e8564ec8fac8130"),
    chain!("cn-hangzhou", "2041-07-03T06:55:29Z", "38b5f678c13e437b90803fdaf20f4593315b24693a488458b30bbd97cc2ad93f"),
    chain!("cn-heyuan", "2041-07-03T06:55:29Z", "9fe8bb53b0c10ac297030415e308a96eeefc402367464bf066c99c24a0346673"),
    chain!("cn-heyuan-acdr-1", "2041-07-03T06:55:29Z", "2c61e1e9d532a3625fbb7cc3c74e963aa3213a82e287bc5fb83f73e73042f963"),
    chain!("cn-hongkong", "2041-07-03T06:55:29Z", "cb20a1be3b45a8ff846e603e32b6660f327764d029a6f57102a608494feaa115"),
    chain!("cn-huhehaote", "2041-07-03T06:55:29Z", "09dff272292d1ed83f239e86faf56f10b09d92abd8528db94ec7cfceaf4fe2f2"),
    chain!("cn-qingdao", "2041-07-03T06:55:29Z", "4c5114b07f66c04e9fc874395ba3a4968dfffa8a1a656a46a072666344b96819"),
    chain!("cn-shanghai", "2041-07-03T06:55:29Z", "9f732fc36ba507db7bd9f2f3fe2da38b11c58a74bffb649e56bc3b6b97334704"),
    chain!("cn-shanghai-finance-1", "2041-07-03T06:55:29Z", "0ecc7b5722f6ceaaafbd8f642ee31563c03659e1af51e6109698331751e95a4d"),
    chain!("cn-shenzhen", "2041-07-03T06:55:29Z", "566503afcc8bdc8846cf2233e159d39f97c28744691f25dd1a7b5622ab6cefea"),
    chain!("cn-wulanchabu", "2041-07-03T06:55:29Z", "21547cf4beb7f41e3c43f9f7c0f88d1b43797051cfaab1bf50b9e1a11b93b43d"),
    chain!("cn-zhangjiakou", "2041-07-03T06:55:29Z", "ec2beda8252d71cf82fd02107f1273f62454465f5c52e4df835755234105c2fe"),
    chain!("eu-central-1", "2041-07-03T06:55:29Z", "fad0b1f7465b867fb632142264b2063986af7268f8be02aebaacddc054497cda"),
    chain!("eu-west-1", "2041-07-03T06:55:29Z", "22c3d24a9c397d52b7e508525b81c864cdb04f4dbdd4c65d01495d8ea5d25f74"),
    chain!("me-central-1", "2041-07-03T06:55:29Z", "d733ce8b96a1e02c2c2c4b4e21f68d9f4f4acc446b05913e202534a1baa0d06a"),
    chain!("us-east-1", "2041-07-03T06:55:29Z", "72f014bee1f29e808e84ee7c4f70290c8e9ec9f792003a2a658b511067f5a659"),
    chain!("us-west-1", "2041-07-03T06:55:29Z", "85e3fc78cb71bebb7b039781b5dec82412317a1a383dda0a08d7552efd22e412"),
];

/// The chain of `region`, if it is known.
pub fn chain(region: &str) -> Option<&'static Chain> {
    CHAINS.iter().find(|chain| chain.region == region)
}

/// What a dedicated instance's certificate may come from: the bundle that was given, else the chain that
/// the vendor publishes for the region.
pub fn trusted(region: &str, ca_bundle: Option<&str>) -> Result<Authority, ConfigError> {
    if let Some(bundle) = ca_bundle {
        return Ok(Authority::from_pem(bundle)?);
    }
    let Some(chain) = chain(region) else {
        let region = region.to_owned();
        return Err(ConfigError::NoAuthority { region });
    };
    Ok(Authority::from_pem(chain.pem)?.named(region))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Authority;
    use crate::provider::hex::sha256_hex;

    #[test]
    fn every_chain_is_the_published_one() {
        for chain in CHAINS {
            assert_eq!(
                sha256_hex(chain.pem.as_bytes()),
                chain.sha256,
                "{}",
                chain.region
            );
            let authority = Authority::from_pem(chain.pem).unwrap();
            assert_eq!(authority.expiry().unwrap().to_string(), chain.expiry);
        }
    }

    #[test]
    fn every_region_has_one_chain_of_its_own() {
        let mut digests: Vec<&str> = CHAINS.iter().map(|chain| chain.sha256).collect();
        digests.sort_unstable();
        digests.dedup();
        assert_eq!(digests.len(), CHAINS.len());
        assert!(CHAINS.is_sorted_by(|a, b| a.region < b.region));
        assert_eq!(chain("cn-hangzhou").unwrap().region, "cn-hangzhou");
        assert_eq!(chain("pre-env"), None);
    }

    #[test]
    fn the_page_beside_the_files_lists_them() {
        let page = include_str!("ca/README.md");
        for chain in CHAINS {
            let row = format!("| `{}` | ", chain.region);
            let line = page.lines().find(|line| line.starts_with(&row)).unwrap();
            assert!(line.contains(chain.sha256), "{line}");
        }
    }
}
