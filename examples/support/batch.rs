//! Converts bytes to tensors: a split as burn's `Dataset`, and the `Batcher` that standardises
//! pixels.

use burn::{
    data::{
        dataloader::batcher::Batcher,
        dataset::{Dataset, DatasetError},
    },
    tensor::{Device, Int, Tensor, TensorData},
};

use super::data::{PIXELS, SIDE, Split};

/// One image and its label.
#[derive(Clone, Debug)]
pub struct Item {
    pub pixels: Vec<u8>,
    pub label: u8,
}

impl Dataset<Item> for Split {
    fn get(&self, index: usize) -> Result<Item, DatasetError> {
        Ok(Item {
            pixels: self.image(index).to_vec(),
            label: self.labels()[index],
        })
    }

    fn len(&self) -> usize {
        Split::len(self)
    }
}

/// The input of a network for one step.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The images, with the shape `[batch, channels, 28, 28]`.
    pub images: Tensor<4>,
    /// The class of each image, with the shape `[batch]`.
    pub targets: Tensor<1, Int>,
}

/// Scales pixels to `[0, 1]` and standardises them.
#[derive(Clone, Copy, Debug)]
pub enum ImageBatcher {
    /// With the mean and the deviation of the training split. Test images are standardised with the
    /// same values.
    Fixed { mean: f32, std: f32 },
    /// Each image with its own mean and deviation. The deviation is at least 1/√(number of values).
    PerImage,
}

impl ImageBatcher {
    /// Measures the pixels of the training split.
    pub fn fit(train: &Split) -> Self {
        // Sums of integers have no rounding error. The sums of 10⁶ images of 784 pixels are far
        // below the limit of `u64`.
        let (sum, squares) = train
            .pixels()
            .iter()
            .fold((0u64, 0u64), |(sum, squares), &pixel| {
                let pixel = u64::from(pixel);
                (sum + pixel, squares + pixel * pixel)
            });
        let count = train.pixels().len() as f64;
        let mean = sum as f64 / count / 255.0;
        let variance = squares as f64 / count / (255.0 * 255.0) - mean * mean;
        // Images of one grey value have no contrast to scale.
        let std = if variance > 1e-12 {
            variance.sqrt()
        } else {
            1.0
        };
        Self::Fixed {
            mean: mean as f32,
            std: std as f32,
        }
    }

    fn standardise(&self, pixels: &[u8], out: &mut Vec<f32>) {
        let unit = |pixel: u8| f32::from(pixel) / 255.0;
        let (mean, std) = match *self {
            Self::Fixed { mean, std } => (mean, std),
            Self::PerImage => {
                let count = pixels.len() as f32;
                let mean = pixels.iter().map(|&p| unit(p)).sum::<f32>() / count;
                let square: f32 = pixels.iter().map(|&p| (unit(p) - mean).powi(2)).sum();
                (mean, (square / count).sqrt().max(count.sqrt().recip()))
            }
        };
        out.extend(pixels.iter().map(|&p| (unit(p) - mean) / std));
    }
}

impl Batcher<Item, Batch> for ImageBatcher {
    fn batch(&self, items: Vec<Item>, device: &Device) -> Batch {
        let mut pixels = Vec::new();
        for item in &items {
            self.standardise(&item.pixels, &mut pixels);
        }
        let channels = items.first().map_or(1, |item| item.pixels.len() / PIXELS);
        let labels: Vec<i64> = items.iter().map(|item| i64::from(item.label)).collect();
        Batch {
            images: Tensor::from_data(
                TensorData::new(pixels, [items.len(), channels, SIDE, SIDE]),
                device,
            ),
            targets: Tensor::from_data(TensorData::new(labels, [items.len()]), device),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::data::Images, *};

    #[test]
    fn training_pixels_come_out_standardised() {
        let train = Images::embedded().unwrap().train.take(500).unwrap();
        let items = (0..500).map(|i| train.get(i).unwrap()).collect();
        let batch = ImageBatcher::fit(&train).batch(items, &Device::flex());
        assert_eq!(batch.images.dims(), [500, 1, 28, 28]);

        let labels: Vec<i64> = batch.targets.into_data().iter().collect();
        assert!(
            labels
                .iter()
                .zip(train.labels())
                .all(|(&a, &b)| a == i64::from(b))
        );

        let pixels: Vec<f64> = batch.images.into_data().iter().collect();
        let mean = pixels.iter().sum::<f64>() / pixels.len() as f64;
        let square = pixels.iter().map(|p| p * p).sum::<f64>() / pixels.len() as f64;
        assert!(
            mean.abs() < 1e-4 && (square - 1.0).abs() < 1e-4,
            "{mean} {square}"
        );
    }
}
