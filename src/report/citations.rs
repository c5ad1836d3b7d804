//! Citations for the methods that a run used.

use super::Run;
use crate::analysis::FullAnalysis;
use crate::record::Values;

/// A source and a test whether a run used it.
struct Source {
    /// What the source is used for.
    role: &'static str,
    bibtex: &'static str,
    used: fn(&Values) -> bool,
}

fn full(values: &Values, has: fn(&FullAnalysis) -> bool) -> bool {
    values.full.as_ref().is_some_and(has)
}

/// The sources, in the order of the data flow.
const SOURCES: [Source; 10] = [
    Source {
        role: "the phases",
        bibtex: "@article{martin2021implicit,
  author  = {Martin, Charles H. and Mahoney, Michael W.},
  title   = {Implicit Self-Regularization in FullData Neural Networks: Evidence from Random Matrix Theory and Implications for Learning},
  journal = {Journal of Machine Learning Research},
  volume  = {22},
  number  = {165},
  pages   = {1--73},
  year    = {2021},
  note    = {arXiv:1810.01075}
}",
        used: |v| v.phase.is_some(),
    },
    Source {
        role: "the law of the bulk",
        bibtex: "@article{marchenko1967distribution,
  author  = {Mar{\\v{c}}enko, Vladimir A. and Pastur, Leonid A.},
  title   = {Distribution of eigenvalues for some sets of random matrices},
  journal = {Mathematics of the USSR-Sbornik},
  volume  = {1},
  number  = {4},
  pages   = {457--483},
  year    = {1967}
}",
        used: |v| v.sigma_mp.is_some(),
    },
    Source {
        role: "the bulk's scale and its spikes",
        bibtex: "@article{ke2021bema,
  author  = {Ke, Zheng Tracy and Ma, Yucong and Lin, Xihong},
  title   = {Estimation of the Number of Spiked Eigenvalues in a Covariance Matrix by Bulk Eigenvalue Matching Analysis},
  journal = {Journal of the American Statistical Association},
  year    = {2021},
  note    = {arXiv:2006.00436}
}",
        used: |v| v.sigma_mp.is_some(),
    },
    Source {
        role: "the edge of noise",
        bibtex: "@article{johnstone2001distribution,
  author  = {Johnstone, Iain M.},
  title   = {On the distribution of the largest eigenvalue in principal components analysis},
  journal = {The Annals of Statistics},
  volume  = {29},
  number  = {2},
  pages   = {295--327},
  year    = {2001}
}",
        used: |v| v.lambda_max_p.is_some(),
    },
    Source {
        role: "the Tracy–Widom law from its determinant",
        bibtex: "@article{bornemann2010numerical,
  author  = {Bornemann, Folkmar},
  title   = {On the numerical evaluation of {F}redholm determinants},
  journal = {Mathematics of Computation},
  volume  = {79},
  number  = {270},
  pages   = {871--915},
  year    = {2010}
}",
        used: |v| v.lambda_max_p.is_some(),
    },
    Source {
        role: "the p-values of several spikes",
        bibtex: "@article{holm1979simple,
  author  = {Holm, Sture},
  title   = {A simple sequentially rejective multiple test procedure},
  journal = {Scandinavian Journal of Statistics},
  volume  = {6},
  number  = {2},
  pages   = {65--70},
  year    = {1979}
}",
        used: |v| v.outliers.len() > 1,
    },
    Source {
        role: "the power-law tail",
        bibtex: "@article{clauset2009power,
  author  = {Clauset, Aaron and Shalizi, Cosma Rohilla and Newman, M. E. J.},
  title   = {Power-law distributions in empirical data},
  journal = {SIAM Review},
  volume  = {51},
  number  = {4},
  pages   = {661--703},
  year    = {2009}
}",
        used: |v| v.primary.alpha.is_some(),
    },
    Source {
        role: "the power law against its rivals",
        bibtex: "@article{vuong1989likelihood,
  author  = {Vuong, Quang H.},
  title   = {Likelihood ratio tests for model selection and non-nested hypotheses},
  journal = {Econometrica},
  volume  = {57},
  number  = {2},
  pages   = {307--333},
  year    = {1989}
}",
        used: |v| v.lr_exponential.is_some() || full(v, |f| f.comparison.is_some()),
    },
    Source {
        role: "FARMS α",
        bibtex: "@inproceedings{hu2025farms,
  author    = {Hu, Yuanzhe and Goel, Kinshuk and Killiakov, Vlad and Yang, Yaoqing},
  title     = {Eigenspectrum Analysis of Neural Networks without Aspect Ratio Bias},
  booktitle = {International Conference on Machine Learning},
  year      = {2025},
  note      = {arXiv:2506.06280}
}",
        used: |v| full(v, |f| f.farms.is_some()),
    },
    Source {
        role: "the determinant condition of the tail",
        bibtex: "@misc{martin2025setol,
  author = {Martin, Charles H. and Hinrichs, Christopher},
  title  = {{SETOL}: A Semi-Empirical Theory of (FullData) Learning},
  year   = {2025},
  note   = {arXiv:2507.17912}
}",
        used: |v| full(v, |f| f.erg.is_some()),
    },
];

/// The sources that these runs used: the purpose and the BibTeX entry of each.
pub(super) fn sources(runs: &[Run]) -> Vec<(&'static str, &'static str)> {
    let records = || runs.iter().flat_map(|r| r.trajectory.records());
    let used = |s: &&Source| records().any(|r| r.values().is_some_and(s.used));
    let used = SOURCES.iter().filter(used);
    used.map(|s| (s.role, s.bibtex)).collect()
}
