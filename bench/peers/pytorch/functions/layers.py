import torch.nn as nn, torch.nn.functional as F

functions = {
    "attention": F.scaled_dot_product_attention,
    "attention_padded": lambda q, k, v, mask: F.scaled_dot_product_attention(q, k, v, attn_mask=mask),
}


class Recurrent(nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer = layer

    def forward(self, x):
        return self.layer(x)[0]


def encoder(dropout):
    return nn.TransformerEncoderLayer(256, 4, dim_feedforward=1024, dropout=dropout, batch_first=True)


# What has parameters of its own, made when it is measured.
makers = {
    "gru": lambda: Recurrent(nn.GRU(128, 256, batch_first=True)),
    "rnn": lambda: Recurrent(nn.RNN(128, 256, batch_first=True)),
    "lstm_bidirectional": lambda: Recurrent(nn.LSTM(64, 128, batch_first=True, bidirectional=True)),
    "encoder_layer": lambda: encoder(0.0),
    "encoder_layer_dropout": lambda: encoder(0.1),
}
